"""The tables that a query must read as a whole: no index finds its rows.

A plan for few rows says little: PostgreSQL reads a small table as a whole, whatever its indexes. So the plan
says which rows of which tables are equal, and the catalog whether indexes lead from what is known (the key,
the parameters) to each table. Only where the plan reads some table as a whole anything is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg.sql import SQL, Identifier

from outboxctl.core.projections import index_entries
from outboxctl.core.projections.documents import arrays, looked_up, prepare, session
from outboxctl.core.projections.index_entries import Entries
from outboxctl.core.projections.index_paths import IndexPaths, uses
from outboxctl.core.projections.plan_scans import conditions, scans
from outboxctl.core.projections.scratch import one_statement, undone
from outboxctl.core.refused_reads import reading_rows
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.keys_query import replaced
from outboxctl.domain.projection import Projection, Relation

SECONDS = 2.0  # for one plan; nothing is read
# The plan for values that are not known.
GENERIC = "SET LOCAL plan_cache_mode = force_generic_plan"
# As the worker reads documents: each key by itself.
BY_KEY = """
SELECT d.document FROM unnest({arrays}) k ({names})
LEFT JOIN LATERAL (SELECT to_json(v.*)::text AS document FROM {view} v WHERE {matches} LIMIT 2) d ON true
"""


@dataclass(frozen=True)
class TableScan:
    """A table that is read as a whole; an index on `columns`, where it has any, would find the rows.

    `columns` are columns and expressions in parentheses, as CREATE INDEX takes them.
    """

    table: Relation
    columns: tuple[str, ...] = ()


def of_query(connection: Connection, query: str, types: Mapping[str, str]) -> list[TableScan]:
    """The tables that a `keys` query reads as a whole; `types` are those of its parameters.

    Raises UsageError with PostgreSQL's words where it refuses the query. Nothing is read.
    """
    with undone(connection):
        plan = _plan_of_query(connection, query, types)
    return _full_scans(connection, plan)


def of_view(connection: Connection, projection: Projection, view: Relation) -> list[TableScan]:
    """The tables that are read as a whole for one document of a projection, whose document is `view`.

    Raises ReadRefusedError with PostgreSQL's words where it refuses that. Nothing is read.
    """
    statement = by_key(projection, view)
    with undone(connection), reading_rows(connection):
        prepare(connection, SECONDS)
        explain = f"EXPLAIN (FORMAT JSON, VERBOSE) {statement}"
        plan = connection.exec_driver_sql(explain, arrays([], projection)).scalar_one()[0]["Plan"]
    return _full_scans(connection, plan)


def by_key(projection: Projection, view: Relation) -> str:
    """The statement that reads documents from `view`; its parameters are those of `documents.arrays`."""
    parts = looked_up(replace(projection, document=view))
    return SQL(BY_KEY).format(**parts).as_string()


def _plan_of_query(connection: Connection, query: str, types: Mapping[str, str]) -> dict[str, Any]:
    names = list(types)
    numbered = replaced(query, lambda name: f"${names.index(name) + 1}")
    given, nulls = ", ".join(types.values()), ", ".join("NULL" for _ in names)
    connection.exec_driver_sql(f"{session(SECONDS)}; {GENERIC}")
    one_statement(connection, f"PREPARE outbox_keys ({given}) AS SELECT * FROM (\n{numbered}\n) keys")
    try:
        explain = f"EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE outbox_keys ({nulls})"
        plan: dict[str, Any] = one_statement(connection, explain).fetchone()[0][0]["Plan"]
        return plan
    finally:
        one_statement(connection, "DEALLOCATE outbox_keys")


def _full_scans(connection: Connection, plan: Mapping[str, Any]) -> list[TableScan]:
    found = [*scans(plan)]
    tops = {table: index_entries.top(connection, table) for table in {scan.table for scan in found}}
    paths = IndexPaths(uses(found, tops), [*conditions(plan)], Entries(connection))
    if not paths.reads_all:
        return []
    wanted: dict[Relation, tuple[str, ...]] = {}
    for use, columns in paths.missing():
        wanted[use.table] = wanted.get(use.table) or columns
    return [
        TableScan(table, columns if _possible(connection, table, columns) else ())
        for table, columns in sorted(wanted.items(), key=str)
    ]


def _possible(connection: Connection, table: Relation, columns: Sequence[str]) -> bool:
    """Whether PostgreSQL takes expressions for an index: tried on an empty copy."""
    if not any(each.startswith("(") for each in columns):
        return True
    name, copy = Identifier(table.schema, table.name), SQL("pg_temp.outbox_index_tried")
    try:
        with undone(connection):
            one_statement(
                connection, SQL("CREATE TEMPORARY TABLE {} (LIKE {})").format(copy, name).as_string()
            )
            one_statement(connection, f"CREATE INDEX ON {copy.as_string()} ({', '.join(columns)})")
    except UsageError:
        return False
    return True
