"""The tables that a `keys` query must read as a whole: no index finds its rows."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outboxctl.core.projections.scratch import one_statement, undone
from outboxctl.core.sql import Connection, text
from outboxctl.domain.keys_query import replaced
from outboxctl.domain.projection import Relation

# The plan for values that are not known. A table is read as a whole only where no index finds its rows, and
# what a join looks up is looked up for each row.
GENERIC = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', true)"
    for name, value in {
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
    }.items()
)
INDEX_SCANS = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")
LEADING = text("""
SELECT pg_get_indexdef(c.oid, 1, true), i.indkey[0] = 0
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = :name
""")
PLAIN = r'(?:"(?:[^"]|"")+"|\w+)'


@dataclass(frozen=True)
class TableScan:
    """A table that is read as a whole; an index on `columns`, where it has any, would find the rows."""

    table: Relation
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Scan:
    """A scan in a plan, of the table or of an index beneath it; `joined` is the condition of a join above."""

    node: Mapping[str, Any]
    of_table: Mapping[str, Any]
    joined: str
    in_join: bool

    @property
    def conditions(self) -> list[str]:
        """What the rows must meet."""
        return [each for name in ("Index Cond", "Filter") if (each := self.node.get(name))] + (
            [self.joined] if self.joined else []
        )


def of_query(connection: Connection, query: str, types: Mapping[str, str]) -> list[TableScan]:
    """The tables that the query reads as a whole; `types` are those of its parameters.

    A table that is read alone and without any condition is none of them. Raises UsageError with PostgreSQL's
    words where it refuses the query. Nothing is read.
    """
    found: dict[Relation, tuple[str, ...]] = {}
    for scan in _scans(_plan(connection, query, types)):
        if (scan.conditions or scan.in_join) and not _by_index(connection, scan):
            table = Relation(scan.of_table["Schema"], scan.of_table["Relation Name"])
            found[table] = found.get(table) or _columns(scan)
    return [TableScan(table, columns) for table, columns in sorted(found.items(), key=str)]


def _plan(connection: Connection, query: str, types: Mapping[str, str]) -> dict[str, Any]:
    names = list(types)
    numbered = replaced(query, lambda name: f"${names.index(name) + 1}")
    given, nulls = ", ".join(types.values()), ", ".join("NULL" for _ in names)
    with undone(connection):
        for statement in (GENERIC, f"PREPARE outbox_keys ({given}) AS SELECT * FROM (\n{numbered}\n) keys"):
            one_statement(connection, statement)
        try:
            explain = f"EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE outbox_keys ({nulls})"
            plan: dict[str, Any] = one_statement(connection, explain).fetchone()[0][0]["Plan"]
            return plan
        finally:
            one_statement(connection, "DEALLOCATE outbox_keys")


def _scans(
    node: Mapping[str, Any],
    table: Mapping[str, Any] | None = None,
    joined: str = "",
    *,
    in_join: bool = False,
) -> Iterator[_Scan]:
    table = node if "Relation Name" in node else table
    if table and node["Node Type"] in ("Seq Scan", *INDEX_SCANS):
        yield _Scan(node, table, joined, in_join)
    for inner in node.get("Plans", ()):
        joining = in_join or "Join Type" in node
        yield from _scans(inner, table, node.get("Join Filter", joined), in_join=joining)


def _by_index(connection: Connection, scan: _Scan) -> bool:
    """Whether an index is entered by its first column; by another one, all of it is read."""
    if scan.node["Node Type"] not in INDEX_SCANS or "Index Cond" not in scan.node:
        return False
    named = {"schema": scan.of_table["Schema"], "name": scan.node["Index Name"]}
    first, expression = connection.execute(LEADING, named).one()
    return (
        expression
        or re.search(rf"(?<![\w\"]){re.escape(first)}(?![\w\"])", scan.node["Index Cond"]) is not None
    )


def _columns(scan: _Scan) -> tuple[str, ...]:
    """The table's columns that the conditions compare; none where that is not plain equality."""
    alias = re.escape(scan.of_table["Alias"])
    column = rf'"?{alias}"?\.({PLAIN})'
    found: list[str] = []
    for condition in scan.conditions:
        for part in condition.strip("()").split(") AND ("):
            left, equal, right = part.partition(" = ")
            match = re.fullmatch(column, left) or re.fullmatch(column, right)
            if not equal or " = " in right or match is None:
                return ()
            found.append(match.group(1))
    return tuple(dict.fromkeys(name.strip('"').replace('""', '"') for name in found))
