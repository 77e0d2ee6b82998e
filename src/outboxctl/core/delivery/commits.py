"""What became of a transaction whose COMMIT got no answer: the server remembers."""

from enum import StrEnum

from sqlalchemy import Connection, text

CURRENT = text("SELECT pg_current_xact_id()::text")
# One that this server has not reached yet is another server's: a failover has lost it.
FATE = text("""
SELECT CASE WHEN CAST(:transaction AS xid8) < pg_current_xact_id()
    THEN pg_xact_status(CAST(:transaction AS xid8)) END
""")


class Fate(StrEnum):
    """What the server says of a transaction; the words are its own."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    IN_PROGRESS = "in progress"


def current(connection: Connection) -> str:
    """The id of the transaction under way, to ask for its fate later."""
    return str(connection.execute(CURRENT).scalar_one())


def fate(connection: Connection, transaction: str) -> Fate:
    """What became of that transaction; ABORTED also where the server knows nothing of it.

    The server keeps this for at least as long as it keeps old row versions (PostgreSQL manual from
    version 13, "Transaction ID and Snapshot Information Functions").
    """
    return Fate(connection.execute(FATE, {"transaction": transaction}).scalar() or Fate.ABORTED)
