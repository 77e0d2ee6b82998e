"""A bounded sample of a table's rows: of pages all over a large table, and the whole of a small one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from psycopg.sql import SQL, Composed

from outboxctl.core.database import driver
from outboxctl.core.projections import catalog
from outboxctl.core.projections.documents import qualified, session
from outboxctl.core.projections.pages import row_key
from outboxctl.core.refused_reads import ReadRefusedError, reading_rows
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.projection import Projection, Relation

SECONDS = 1.0  # for one statement on a sample
SIZES = (100, 10, 1)  # rows, one after the other where a statement takes too long
# A row a page: rows that were written together are often alike. The order is that of no column, and the same
# in the next run.
ROWS = "{table} {alias} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (0)"
ORDER = "ORDER BY md5({alias}.ctid::text) LIMIT {size}"
Found = TypeVar("Found")


def rows(connection: Connection, table: Relation, alias: str, size: int) -> tuple[Composed, Composed]:
    """The FROM and the end of a SELECT of at most `size` rows of a table; a small one is read."""
    percent = min(100.0, 100.0 * size / max(1, catalog.pages(connection, table)))
    given = {"alias": SQL(alias), "percent": SQL(f"{percent:.9f}"), "size": SQL(str(size))}
    return SQL(ROWS).format(table=qualified(table), **given), SQL(ORDER).format(**given)


def keys(connection: Connection, projection: Projection, size: int) -> list[str]:
    """At most `size` keys of the root. Raises ReadRefusedError."""
    table, end = rows(connection, projection.root, "r", size)
    statement = SQL("SELECT {} FROM {} {}").format(row_key(projection), table, end).as_string()
    with read_only(connection), reading_rows(connection):
        return [*connection.exec_driver_sql(statement).scalars()]


def one_row(connection: Connection, statement: str) -> tuple[int, ...]:
    """The first row of the user's own SQL, which is not rewritten. Raises ReadRefusedError."""
    with read_only(connection), reading_rows(connection):
        found: tuple[int, ...] | None = driver(connection).execute(statement.encode()).fetchone()
        return found or ()


def in_time(read: Callable[[int], Found]) -> Found | None:
    """What `read` returns for the largest of SIZES that does not take too long; None where each does.

    Raises ReadRefusedError where it is refused for another reason.
    """
    for size in SIZES:
        try:
            return read(size)
        except ReadRefusedError as error:
            if not error.late:
                raise
    return None


@contextmanager
def read_only(connection: Connection) -> Iterator[None]:
    """Statements of at most SECONDS that change nothing, with the settings that the worker reads with."""
    with undone(connection):
        connection.exec_driver_sql(f"{session(SECONDS)}; SET LOCAL transaction_read_only = on")
        yield
