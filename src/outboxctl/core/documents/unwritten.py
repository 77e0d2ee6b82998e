"""Whether anything was written at the server between two moments, by the numbers of its transactions.

Whatever changes a row, a table, a view or a right takes a number, a subtransaction too; those of other
databases count, since a number does not say whose it is. Only what is read from elsewhere changes without:
foreign tables.
"""

from collections.abc import Container
from typing import NamedTuple

from outboxctl.core.documents.since import SERVER
from outboxctl.core.sql import Connection, text

MARK = text(f"""
SELECT CAST(CAST(pg_snapshot_xmin(s) AS text) AS bigint), CAST(CAST(pg_snapshot_xmax(s) AS text) AS bigint),
    {SERVER}, EXISTS (SELECT FROM pg_foreign_table)
FROM pg_current_snapshot() s
""")
NUMBER = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")


class WriteMark(NamedTuple):
    """A snapshot: the oldest transaction that goes on, the next one, its server's start."""

    oldest: int
    following: int
    server: str
    foreign: bool


def mark(connection: Connection) -> WriteMark:
    """The mark of a statement's snapshot."""
    return WriteMark(*connection.execute(MARK).one())


def number(connection: Connection) -> int:
    """The number of this transaction, which has written."""
    return int(connection.execute(NUMBER).scalar_one())


def unwritten(before: WriteMark, now: WriteMark, own: Container[int]) -> bool:
    """Whether what is visible now is what was visible then, but for transactions of these `own` numbers.

    One that went on then may have ended since. A server that was started anew may give a number twice.
    """
    same = before.server == now.server and not now.foreign and before.oldest == before.following
    return same and all(each in own for each in range(before.following, now.following))
