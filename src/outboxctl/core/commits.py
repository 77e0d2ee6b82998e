"""What became of a transaction whose COMMIT got no answer: the server remembers."""

from sqlalchemy import Connection, text

CURRENT = text("SELECT pg_current_xact_id()::text")
FATE = text("SELECT pg_xact_status(CAST(:transaction AS xid8))")


def current(connection: Connection) -> str:
    """The id of the transaction under way, to ask for its fate later."""
    return str(connection.execute(CURRENT).scalar_one())


def committed(connection: Connection, transaction: str) -> bool:
    """Whether that transaction committed. One still in progress counts as not: its locks will tell.

    The server keeps this for at least as long as it keeps old row versions
    (PostgreSQL manual, "Transaction ID and Snapshot Information Functions").
    """
    return connection.execute(FATE, {"transaction": transaction}).scalar() == "committed"
