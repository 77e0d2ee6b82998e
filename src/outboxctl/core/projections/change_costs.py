"""What a change of a row costs the worker: the documents behind it, and the time to read one."""

from dataclasses import dataclass, replace

from psycopg.sql import SQL, Identifier

from outboxctl.core.projections import samples
from outboxctl.core.projections.documents import arrays, looked_up, prepare, qualified
from outboxctl.core.refused_reads import reading_rows
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.keys_query import replaced
from outboxctl.domain.projection import Follow, Projection, Relation, key_parts

# As the worker reads documents: each key by itself.
BY_KEY = """
SELECT d.document FROM unnest({arrays}) k ({names})
LEFT JOIN LATERAL (SELECT to_json(v.*)::text AS document FROM {view} v WHERE {matches} LIMIT 2) d ON true
"""
MOST = 100_000  # documents that are counted behind one row
ALIAS = "outbox_sampled_row"
COUNTED = """
SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY number), 0)::bigint,
    coalesce(max(number), 0)::bigint, count(*)
FROM (SELECT * FROM {rows} {end}) {alias}, LATERAL (
    SELECT count(DISTINCT k) AS number FROM (SELECT k FROM (
{query}
    ) k LIMIT {most}) k
) counted
"""


@dataclass(frozen=True)
class DocumentsBehind:
    """The documents behind one row of a followed table: median and most of the `rows` looked at.

    `complete`: these are all rows of the table.
    """

    median: int
    most: int
    rows: int
    complete: bool


@dataclass(frozen=True)
class ReadingTime:
    """How long PostgreSQL takes to read `documents` in one statement: milliseconds in all."""

    documents: int
    milliseconds: float


def behind(connection: Connection, projection: Projection, follow: Follow) -> DocumentsBehind | None:
    """The documents behind a row, from a sample; None where even one row's take too long to count.

    Raises ReadRefusedError.
    """
    if follow.key:
        return DocumentsBehind(1, 1, 0, complete=True)
    if follow.all:
        number = _all(connection, projection.root)
        return DocumentsBehind(number, number, 0, complete=True)
    return samples.in_time(lambda size: _counted(connection, follow, size))


def _all(connection: Connection, root: Relation) -> int:
    """About how many rows the planner takes a table to have."""
    statement = SQL("EXPLAIN (FORMAT JSON) SELECT FROM {}").format(qualified(root)).as_string()
    with samples.read_only(connection), reading_rows(connection):
        plan = connection.exec_driver_sql(statement).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"])


def _counted(connection: Connection, follow: Follow, size: int) -> DocumentsBehind:
    rows, end = samples.rows(connection, follow.table, "t", size)
    query = replaced(follow.keys.strip().rstrip(";"), lambda name: f"{ALIAS}.{Identifier(name).as_string()}")
    composed = SQL(COUNTED).format(
        rows=rows, end=end, alias=SQL(ALIAS), query=SQL(query), most=SQL(str(MOST))
    )
    median, most, number = samples.one_row(connection, composed.as_string())
    return DocumentsBehind(median, most, number, complete=number < size)


def reading(connection: Connection, projection: Projection, view: Relation) -> ReadingTime | None:
    """The time to read documents of a sample of keys; None where even one takes too long.

    Raises ReadRefusedError.
    """
    keys = samples.keys(connection, projection, samples.SIZES[0])
    return samples.in_time(lambda size: _timed(connection, projection, view, keys[:size]))


def _timed(connection: Connection, projection: Projection, view: Relation, keys: list[str]) -> ReadingTime:
    by_key = SQL(BY_KEY).format(**looked_up(replace(projection, document=view))).as_string()
    statement = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {by_key}"
    parts = [key_parts(key, len(projection.key)) for key in keys]
    with undone(connection):
        prepare(connection, samples.SECONDS)
        with reading_rows(connection):
            plan = connection.exec_driver_sql(statement, arrays(parts, projection)).scalar_one()
    return ReadingTime(len(keys), float(plan[0]["Execution Time"]))
