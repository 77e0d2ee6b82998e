"""What is wrong with the triggers of a projection: each table's, and each partition's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from psycopg.sql import SQL, Composable

from outboxctl.core.projections.trigger_places import copies
from outboxctl.core.sql import Connection, Row
from outboxctl.domain.projection import Relation

NAMED = "FROM ({rows}) w JOIN pg_class c ON c.oid = w.watched JOIN pg_namespace n ON n.oid = c.relnamespace"
WANTED = f"""
SELECT n.nspname::text AS schema, c.relname::text AS table, c.relkind = 'p' AS partitioned, w.declared::oid,
    w.watched::oid::bigint AS oid, w.depth, w.by_row, w.name, w.type, w.old_table,
    w.new_table, w.kind, w.setwise
{NAMED} ORDER BY w.declared::oid, w.by_row, w.depth, w.watched::oid, w.type & 1 DESC, w.type
"""
COPIES = f"SELECT n.nspname::text AS schema, c.relname::text AS table, w.* {NAMED}"
TRIGGERS = """
SELECT t.tgrelid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS table, t.tgname::text AS name,
    t.tgtype AS type, coalesce(t.tgoldtable, '')::text AS old_table,
    coalesce(t.tgnewtable, '')::text AS new_table, t.tgenabled = 'O' AS enabled,
    t.tgqual IS NULL AND t.tgattr::text = '' AS always,
    CASE t.tgconstraint WHEN 0 THEN 'TRIGGER' ELSE 'CONSTRAINT TRIGGER' END AS kind
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {rows} AND t.tgparentid = 0
"""
COMPARED = ("type", "old_table", "new_table", "kind")
Triggers = dict[tuple[int, str], Row]
Copies = dict[tuple[int, str], Row]  # that are not as they should be


class TriggerFault(StrEnum):
    """What is wrong with a table's triggers."""

    NO_TABLE = "table missing"
    NO_COLUMN = "column missing"
    NO_TRIGGER = "trigger missing"
    DISABLED = "trigger disabled"
    EDITED = "trigger edited"
    FUNCTION = "function edited or out of date"
    RIGHTS = "function may not insert events"
    PARTITIONS = "owner of the table may not make partitions"
    ROW_BY_ROW = "events row by row"
    STRAY = "trigger of nothing in the declaration"

    @property
    def misses_changes(self) -> bool:
        """Whether a change may have had no event."""
        return self not in (self.PARTITIONS, self.ROW_BY_ROW, self.STRAY)


@dataclass(frozen=True)
class TriggerProblem:
    """A table of a projection, what is wrong there, and the name of the trigger, function or column.

    `users`: of a function, the projections whose events it writes.
    """

    table: Relation
    fault: TriggerFault
    name: str
    users: tuple[str, ...] = ()


def of_triggers(connection: Connection, wanted: Composable, ours: Composable) -> Iterator[TriggerProblem]:
    """What differs from `trigger_places.wanted`; `ours`: the condition of our functions `p`."""
    there: Triggers = {(row.oid, row.name): row for row in _rows(connection, TRIGGERS, ours)}
    differing: Copies = {(row.oid, row.name): row for row in _rows(connection, COPIES, copies(wanted))}
    rows = _rows(connection, WANTED, wanted)
    for _, each in groupby(rows, lambda row: (row.declared, row.by_row)):
        yield from _of_tree(list(each), there, differing)
    for row in differing.values():
        fault = TriggerFault.ROW_BY_ROW if row.setwise else TriggerFault.DISABLED
        if row.may or not row.setwise:
            yield TriggerProblem(_relation(row), fault, row.name)
    strays = sorted(there.values(), key=lambda row: (row.schema, row.table, row.name))
    yield from (TriggerProblem(_relation(row), TriggerFault.STRAY, row.name) for row in strays)


def _rows(connection: Connection, query: str, rows: Composable) -> list[Row]:
    composed = SQL(query).format(rows=rows).as_string()
    return list(connection.exec_driver_sql(composed.replace("%", "%%")))


def _of_tree(wanted: Sequence[Row], there: Triggers, differing: Copies) -> Iterator[TriggerProblem]:
    """No more is named of a table that a role with fewer rights left row by row."""
    row = wanted[0]
    found = there.get((row.oid, row.name))
    if not (found and found.kind != row.kind and found.type == row.type and found.enabled and found.always):
        for _, each in groupby(wanted, lambda row: row.oid):
            yield from _of_table(list(each), there, differing)
        return
    yield TriggerProblem(_relation(row), TriggerFault.ROW_BY_ROW, row.name)
    for each in wanted:
        there.pop((each.oid, each.name), None)
        differing.pop((each.oid, row.name), None)


def _of_table(wanted: Sequence[Row], there: Triggers, differing: Copies) -> Iterator[TriggerProblem]:
    """A partition that is new has no trigger but the copy, which is enabled; then no other is named."""
    one = wanted[0]
    if one.depth and not any((one.oid, each.name) in there for each in wanted):
        copy = differing.pop((one.oid, one.by_row), None)
        if copy or one.partitioned or not one.setwise:
            yield TriggerProblem(_relation(one), TriggerFault.ROW_BY_ROW, one.by_row)
            return
    for each in wanted:
        yield from _of_trigger(each, there.pop((each.oid, each.name), None))


def _of_trigger(wanted: Row, trigger: Row | None) -> Iterator[TriggerProblem]:
    if trigger is None:
        yield TriggerProblem(_relation(wanted), TriggerFault.NO_TRIGGER, wanted.name)
    elif not trigger.always or any(getattr(trigger, name) != getattr(wanted, name) for name in COMPARED):
        yield TriggerProblem(_relation(wanted), TriggerFault.EDITED, wanted.name)
    elif not trigger.enabled:
        yield TriggerProblem(_relation(wanted), TriggerFault.DISABLED, wanted.name)


def _relation(row: Row) -> Relation:
    return Relation(row.schema, row.table)
