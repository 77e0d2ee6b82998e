"""Whether the triggers of a projection's tables are in the database as `Triggers.sql` makes them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

from psycopg.sql import SQL, Composable, Literal

from outboxctl.core.projections import trigger_places
from outboxctl.core.projections.catalog import kind, oid_of, row_level
from outboxctl.core.projections.changes import outbox_schema
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.trigger_functions import RIGHTS, WRITES_EVENTS, WRITES_FOR, settings
from outboxctl.core.projections.trigger_names import Watched, WatchedTable, shared, watched
from outboxctl.core.projections.triggers import Triggers
from outboxctl.core.sql import Connection, Row, text
from outboxctl.core.sql.kept import kept
from outboxctl.domain.projection import Projection, Relation

# A partition gets its table's trigger of rows, from whoever makes or attaches it, who owns both.
PARTITIONABLE = """
    SELECT coalesce(bool_and(has_function_privilege(c.relowner, p.oid, 'EXECUTE')), true)
    FROM pg_trigger t, pg_partition_tree(t.tgrelid) k JOIN pg_class c ON c.oid = k.relid AND c.relkind = 'p'
    WHERE t.tgfoid = p.oid AND t.tgparentid = 0 AND t.tgtype & 1 = 1"""
FUNCTIONS = f"""
SELECT p.proname::text AS name, p.prosrc AS body, p.prosecdef AS definer,
    coalesce(p.proconfig, '{{{{}}}}') AS settings,
    {RIGHTS} AS may_insert, ({PARTITIONABLE}) AS partitionable
FROM pg_proc p, to_regclass({{events}}) outbox WHERE {{ours}}
"""
WRITERS = text(f"SELECT p.oid::bigint, {WRITES_FOR} FROM pg_proc p WHERE {WRITES_EVENTS}")
# Ours, and functions of other tables that write this projection's events all the same.
OURS = "({ours} OR p.oid = ANY (CAST({others} AS oid[])))"
# `none`: no trigger of ours is there but the copy of one of the partitioned table.
DIFFERENCES = """
SELECT n.nspname::text AS schema, c.relname::text AS "table", c.relkind = 'p' AS partitioned, c.oid::bigint,
    NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgrelid = c.oid AND t.tgparentid = 0 AND {ours}) AS none, d.*
FROM ({rows}) d JOIN pg_class c ON c.oid = coalesce(d.place, d.watched)
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY d.declared::oid, d.by_row, d.depth, d.watched::oid, d.type & 1 DESC, d.type, 1, 2, d.tgname
"""
COPIES = f"""
SELECT n.nspname::text AS schema, c.relname::text AS "table", w.*
FROM ({trigger_places.COPIES}) w JOIN pg_class c ON c.oid = w.watched
JOIN pg_namespace n ON n.oid = c.relnamespace
"""
# What `Triggers.sql` would make.
MADE = "SELECT function, watched::oid::bigint AS oid, body FROM ({functions}) made"
# What `trigger_functions.FILLED` puts into a function: the oid of the table, and the numbers of its columns.
RECORDED = re.compile(r"\b(?:attrelid <>|attrelid =) (\d+)")
NUMBERS = re.compile(
    r"(?<=TG_RELID, )\d+|(?<=attrelid <> )\d+|(?<=attrelid = )\d+|\d+::(?:oid|int2)|(?<=', )\d+(?=\))"
    r"|\b[on]\d+\b"
)

Rows = dict[tuple[int, str], Row]  # by the table's oid, and the name of the trigger


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


def installed(
    connection: Connection, projection: Projection, in_force: Iterable[Projection] = ()
) -> list[TriggerProblem]:
    """What differs from what `Triggers.sql` would leave, beside the other projections `in_force`."""
    if not projection.triggers:
        return []
    schema = outbox_schema(connection)
    tables = shared(connection, projection, in_force)
    found = [problem for one in watched(projection) for problem in _of_table(connection, one)]
    oids = {each.table: oid for each in tables if (oid := oid_of(connection, each.table))}
    rows = row_level(connection, oids)
    there = Triggers([each for each in tables if each.table in oids], schema, rows, oids)
    own = _rows(connection, FUNCTIONS, events=Literal(there.events), ours=there.condition)
    functions = {row.name: row for row in own}
    lacking = {each.table for each in found}
    to_compare = {each.table.table for each in there.functions if each.name in functions} - lacking
    complete = replace(there, tables=[each for each in there.tables if each.table in to_compare])
    made = {}
    if complete.tables:
        made = {row.function: row for row in _rows(connection, MADE, functions=complete.functions_sql)}
    for each in there.functions:
        found += _of_function(each.table, functions.get(each.name), made.get(each.call))
    others = _writers(connection).get(projection.name, [])
    ours = SQL(OURS).format(ours=there.condition, others=Literal(others))
    return [*found, *_of_triggers(connection, there, ours)] if oids else found


@kept
def _writers(connection: Connection) -> dict[str, list[int]]:
    """The oids of the functions that write events, by the name of the projection."""
    found = defaultdict[str, list[int]](list)
    for oid, names in connection.execute(WRITERS):
        for name in names:
            found[name].append(oid)
    return found


def _rows(connection: Connection, query: str, **parts: Composable) -> list[Row]:
    return list(connection.exec_driver_sql(SQL(query).format(**parts).as_string().replace("%", "%%")))


def _of_table(connection: Connection, one: Watched) -> Iterator[TriggerProblem]:
    if kind(connection, one.of.table) is None:
        yield TriggerProblem(one.of.table, TriggerFault.NO_TABLE, one.of.table.name)
        return
    there = {field.name for field in fields(connection, one.of.table)}
    for name in one.all_names:
        if name not in there:
            yield TriggerProblem(one.of.table, TriggerFault.NO_COLUMN, name)


def _of_function(one: WatchedTable, function: Row | None, made: Row | None) -> Iterator[TriggerProblem]:
    if function is None:
        return  # its triggers are missing, too
    own = {f"{name}={value}".replace("'", "").lower() for name, value in settings(one.users).items()}
    same = {each.lower() for each in function.settings} == own
    if not (function.definer and same) or (made and not _same(function.body, made)):
        yield TriggerProblem(one.table, TriggerFault.FUNCTION, function.name, one.projections)
    if not function.may_insert:
        yield TriggerProblem(one.table, TriggerFault.RIGHTS, function.name, one.projections)
    if not function.partitionable:
        yield TriggerProblem(one.table, TriggerFault.PARTITIONS, function.name, one.projections)


def _same(body: str, made: Row) -> bool:
    """After a dump was restored the table has another oid, and its columns may have other numbers."""
    recorded = RECORDED.search(body)
    if recorded and int(recorded[1]) != made.oid:
        return NUMBERS.sub("", body) == NUMBERS.sub("", made.body)
    return bool(body == made.body)


def _of_triggers(connection: Connection, made: Triggers, ours: Composable) -> Iterator[TriggerProblem]:
    """What differs from these; `ours`: the condition of our functions `p`."""
    rows = _rows(connection, DIFFERENCES, rows=made.differing(ours), ours=ours)
    there: Rows = {(row.oid, row.tgname): row for row in rows if row.name is None}
    copied = _rows(connection, COPIES, wanted=made.wanted)
    copies: Rows = {(row.oid, row.name): row for row in copied}
    missing = (row for row in rows if row.name is not None)
    for _, each in groupby(missing, lambda row: (row.declared, row.by_row)):
        yield from _of_tree(list(each), there, copies)
    for row in copies.values():
        if row.may or not row.setwise:
            yield _problem(row, TriggerFault.ROW_BY_ROW if row.setwise else TriggerFault.DISABLED)
    yield from (_problem(row, TriggerFault.STRAY, row.tgname) for row in there.values())


def _of_tree(missing: Sequence[Row], there: Rows, copies: Rows) -> Iterator[TriggerProblem]:
    """No more is named of a table that a role with fewer rights left row by row."""
    row = missing[0]
    found = there.get((row.oid, row.name))
    if (
        found
        and found.enabled
        and found.tgtype == row.type
        and found.is_constraint == (row.kind == "TRIGGER")
    ):
        yield _problem(row, TriggerFault.ROW_BY_ROW)
        for each in missing:
            there.pop((each.oid, each.name), None)
            copies.pop((each.oid, row.name), None)
    else:
        for _, several in groupby(missing, lambda row: row.oid):
            yield from _of_one(list(several), there, copies)


def _of_one(missing: Sequence[Row], there: Rows, copies: Rows) -> Iterator[TriggerProblem]:
    """A partition that is new has no trigger but the copy, which is enabled; then no other is named."""
    one = missing[0]
    if one.depth and one.none:
        copy = copies.pop((one.oid, one.by_row), None)
        if copy or one.partitioned or not one.setwise:
            yield _problem(one, TriggerFault.ROW_BY_ROW, one.by_row)
            return
    for each in missing:
        found = there.pop((each.oid, each.name), None)
        edited = TriggerFault.EDITED if found and found.enabled else TriggerFault.DISABLED
        yield _problem(each, edited if found else TriggerFault.NO_TRIGGER)


def _problem(row: Row, fault: TriggerFault, name: str = "") -> TriggerProblem:
    return TriggerProblem(Relation(row.schema, row.table), fault, name or row.name)
