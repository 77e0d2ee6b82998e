"""Count the documents behind a changed row, in a bounded sample of rows.

The sample has a row of each of some pages all over a large table, and all rows of a small one.
"""

from dataclasses import dataclass

from psycopg.sql import SQL, Identifier

from outboxctl.core.database import driver
from outboxctl.core.projections import catalog, pages
from outboxctl.core.projections.documents import prepare
from outboxctl.core.refused_reads import ReadRefusedError, reading_rows
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.keys_query import replaced
from outboxctl.domain.projection import Follow, Relation

SECONDS = 1.0  # for one statement on a sample
SIZES = (100, 10, 1)  # rows, one after the other where a statement takes too long
MOST = 100_000  # documents that are counted behind one row
ALIAS = "outbox_sampled_row"
# A row a page: rows that were written together are often alike. The order is that of no column, and the same
# in the next run.
COUNTED = """
SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY number), 0)::bigint,
    coalesce(max(number), 0)::bigint, count(*)
FROM (SELECT * FROM {table} t TABLESAMPLE SYSTEM ({percent}) REPEATABLE (0)
    ORDER BY md5(t.ctid::text) LIMIT {size}) {alias}, LATERAL (
    SELECT count(DISTINCT k) AS number FROM (SELECT k FROM (
{query}
    ) k LIMIT {most}) k
) counted
"""


@dataclass(frozen=True)
class DocumentsBehind:
    """The documents behind one row of a followed table: median of the `rows` looked at, and most."""

    median: int
    most: int
    rows: int


def behind(
    connection: Connection, root: Relation, follow: Follow, *, known: int = 0
) -> DocumentsBehind | None:
    """The documents behind a row; None where they take too long to count, or are refused.

    `known`: as many at most by the statistics, which know of a value that a sample misses. Nothing is
    changed, and read with the settings of a worker.
    """
    if follow.key:
        return DocumentsBehind(1, 1, 0)
    for size in SIZES:
        try:
            with undone(connection):
                prepare(connection, SECONDS)
                with reading_rows(connection):
                    if follow.all:
                        number = pages.estimate(connection, root, SECONDS)
                        return DocumentsBehind(number, number, 0)
                    return _counted(connection, follow, size, known)
        except ReadRefusedError as error:
            if not error.late:
                break
    return None


def _counted(connection: Connection, follow: Follow, size: int, known: int) -> DocumentsBehind:
    percent = min(100.0, 100.0 * size / max(1, catalog.pages(connection, follow.table)))
    query = replaced(follow.keys.strip().rstrip(";"), lambda name: f"{ALIAS}.{Identifier(name).as_string()}")
    composed = SQL(COUNTED).format(
        table=Identifier(follow.table.schema, follow.table.name),
        percent=SQL(f"{percent:.9f}"),
        size=SQL(str(size)),
        alias=SQL(ALIAS),
        query=SQL(query),
        most=SQL(str(MOST)),
    )
    # By the driver itself: the user's own SQL is not rewritten.
    counted = driver(connection).execute(composed.as_string().encode()).fetchone()
    median, most, number = counted or (0, 0, 0)
    return DocumentsBehind(median, most if number < size else max(most, known), number)
