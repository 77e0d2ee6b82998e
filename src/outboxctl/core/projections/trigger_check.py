"""Whether the triggers of a projection are in the database as `triggers.create` makes them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from psycopg.sql import Composable

from outboxctl.core.projections.catalog import RELATION, kind, of, row_level
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.trigger_functions import RIGHTS, settings
from outboxctl.core.projections.trigger_names import (
    OF_ROWS,
    OF_STATEMENTS,
    Trigger,
    Watched,
    function_name,
    functions_of,
    trigger_name,
    watched,
)
from outboxctl.core.projections.triggers import (
    events_schema,
    events_table,
    function_call,
    functions_sql,
)
from outboxctl.core.sql import Connection, Row, text
from outboxctl.domain.projection import Projection, Relation

# A partition gets its table's triggers, from whoever makes or attaches it, who owns both.
PARTITIONABLE = """
    SELECT coalesce(bool_and(has_function_privilege(c.relowner, p.oid, 'EXECUTE')), true)
    FROM pg_trigger t, pg_partition_tree(t.tgrelid) k JOIN pg_class c ON c.oid = k.relid AND c.relkind = 'p'
    WHERE t.tgfoid = p.oid AND t.tgparentid = 0"""
FUNCTIONS = text(f"""
SELECT p.proname::text AS name, p.prosrc AS body, p.prosecdef AS definer,
    coalesce(p.proconfig, '{{}}') AS settings,
    {RIGHTS} AS may_insert, ({PARTITIONABLE}) AS partitionable
FROM pg_proc p, to_regclass(:events) outbox
WHERE p.pronamespace = to_regnamespace(quote_ident(:schema)) AND p.proname ~ :pattern
""")
# The trigger of a partitioned table has a copy on each partition, which can be disabled by itself.
TRIGGERS = text("""
SELECT n.nspname::text AS schema, c.relname::text AS table, t.tgname::text AS name, t.tgtype AS type,
    coalesce(t.tgoldtable, '')::text AS old, coalesce(t.tgnewtable, '')::text AS new,
    t.tgenabled = 'O' AND NOT EXISTS (SELECT FROM pg_trigger k
        WHERE k.tgparentid = t.oid AND k.tgenabled <> 'O') AS enabled,
    t.tgqual IS NULL AND t.tgattr::text = '' AS always
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pronamespace = to_regnamespace(quote_ident(:schema)) AND p.proname ~ :pattern AND t.tgparentid = 0
""")
OID = text(f"SELECT c.oid::bigint FROM {RELATION}")
# What `trigger_columns` puts into a function: the oid of the table, and the numbers of its columns.
RECORDED = re.compile(r"\b(?:attrelid <>|attrelid =) (\d+)")
NUMBERS = re.compile(r"(?<=attrelid <> )\d+|(?<=attrelid = )\d+|\d+::(?:oid|int2)|(?<=', )\d+(?=\))")


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
    STRAY = "trigger of nothing in the declaration"


@dataclass(frozen=True)
class TriggerProblem:
    """A table of a projection, what is wrong there, and the name of the trigger, function or column."""

    table: Relation
    fault: TriggerFault
    name: str


def installed(connection: Connection, projection: Projection) -> list[TriggerProblem]:
    """What differs from what `triggers.create` would leave; empty where nothing does."""
    schema = events_schema(connection)
    given = {"schema": schema, "pattern": functions_of(projection.name)}
    events = {"events": events_table(schema)}
    functions = {row.name: row for row in connection.execute(FUNCTIONS, given | events)}
    triggers = {(Relation(*row[:2]), row.name): row for row in connection.execute(TRIGGERS, given)}
    tables = watched(projection)
    rows = row_level(connection, [each.table for each in tables])
    found = [problem for one in tables for problem in _of_table(connection, one)]
    there = [one for one in tables if one.table not in {each.table for each in found}]
    oids = {one.table: connection.execute(OID, of(one.table)).scalar_one() for one in there}
    made = _made(connection, functions_sql(projection.name, there, schema, rows, oids)) if there else {}
    for one in tables:
        name = function_name(projection.name, one.place)
        found += _of_function(one, functions.get(name), made.get(function_call(projection.name, one, schema)))
        for each in OF_ROWS if one.table in rows else OF_STATEMENTS:
            name = trigger_name(projection.name, one.place, each)
            found += _of_trigger(one, name, each, triggers.pop((one.table, name), None))
    return [
        *found,
        *(TriggerProblem(table, TriggerFault.STRAY, name) for table, name in sorted(triggers, key=str)),
    ]


def _of_table(connection: Connection, one: Watched) -> Iterator[TriggerProblem]:
    if kind(connection, one.table) is None:
        yield TriggerProblem(one.table, TriggerFault.NO_TABLE, one.table.name)
        return
    there = {field.name for field in fields(connection, one.table)}
    yield from (
        TriggerProblem(one.table, TriggerFault.NO_COLUMN, name) for name in one.names if name not in there
    )


def _made(connection: Connection, functions: Composable) -> dict[str, Row]:
    """What `triggers.create` would make: oid of the table and text, by the name of the function."""
    query = f"SELECT function, watched::oid::bigint AS oid, body FROM ({functions.as_string()}) made"
    return {row.function: row for row in connection.exec_driver_sql(query.replace("%", "%%"))}


def _of_function(one: Watched, function: Row | None, made: Row | None) -> Iterator[TriggerProblem]:
    if function is None:
        return  # its triggers are missing, too
    own = {f"{name}={value}".replace("'", "").lower() for name, value in settings(one).items()}
    same = {each.lower() for each in function.settings} == own
    if not (function.definer and same) or (made and not _same(function.body, made)):
        yield TriggerProblem(one.table, TriggerFault.FUNCTION, function.name)
    if not function.may_insert:
        yield TriggerProblem(one.table, TriggerFault.RIGHTS, function.name)
    if not function.partitionable:
        yield TriggerProblem(one.table, TriggerFault.PARTITIONS, function.name)


def _same(body: str, made: Row) -> bool:
    """After a dump was restored the table has another oid, and its columns may have other numbers."""
    recorded = RECORDED.search(body)
    if recorded and int(recorded[1]) != made.oid:
        return NUMBERS.sub("", body) == NUMBERS.sub("", made.body)
    return bool(body == made.body)


def _of_trigger(one: Watched, name: str, trigger: Trigger, row: Row | None) -> Iterator[TriggerProblem]:
    if row is None:
        yield TriggerProblem(one.table, TriggerFault.NO_TRIGGER, name)
    elif (row.type, row.old, row.new, row.always) != (trigger.type, trigger.old, trigger.new, True):
        yield TriggerProblem(one.table, TriggerFault.EDITED, name)
    elif not row.enabled:
        yield TriggerProblem(one.table, TriggerFault.DISABLED, name)
