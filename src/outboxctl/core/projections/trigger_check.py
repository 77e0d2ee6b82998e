"""Whether the triggers of a projection are in the database as `triggers.create` makes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from outboxctl.core.projections.catalog import kind, row_level
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.trigger_functions import RIGHTS, body, settings
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
from outboxctl.core.projections.triggers import events_schema, events_table
from outboxctl.core.sql import Connection, Row, text
from outboxctl.domain.projection import Projection, Relation

FUNCTIONS = text(f"""
SELECT p.proname::text AS name, p.prosrc AS body, p.prosecdef AS definer,
    coalesce(p.proconfig, '{{}}') AS settings,
    {RIGHTS} AS may_insert
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


class TriggerFault(StrEnum):
    """What is wrong with a table's triggers."""

    NO_TABLE = "table missing"
    NO_COLUMN = "column missing"
    NO_TRIGGER = "trigger missing"
    DISABLED = "trigger disabled"
    EDITED = "trigger edited"
    FUNCTION = "function edited"
    RIGHTS = "function may not insert events"
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
    found: list[TriggerProblem] = []
    for one in watched(projection):
        rows = bool(row_level(connection, [one.table]))
        source = body(projection.name, one, schema, rows=rows)
        found += _of_table(connection, one)
        found += _of_function(one, functions.get(function_name(projection.name, one.place)), source)
        for each in OF_ROWS if rows else OF_STATEMENTS:
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


def _of_function(one: Watched, function: Row | None, source: str) -> Iterator[TriggerProblem]:
    if function is None:
        return  # its triggers are missing, too
    own = {f"{name}={value}".replace("'", "").lower() for name, value in settings(one).items()}
    same = {each.lower() for each in function.settings} == own
    if not (function.body == source and function.definer and same):
        yield TriggerProblem(one.table, TriggerFault.FUNCTION, function.name)
    if not function.may_insert:
        yield TriggerProblem(one.table, TriggerFault.RIGHTS, function.name)


def _of_trigger(one: Watched, name: str, trigger: Trigger, row: Row | None) -> Iterator[TriggerProblem]:
    if row is None:
        yield TriggerProblem(one.table, TriggerFault.NO_TRIGGER, name)
    elif (row.type, row.old, row.new, row.always) != (trigger.type, trigger.old, trigger.new, True):
        yield TriggerProblem(one.table, TriggerFault.EDITED, name)
    elif not row.enabled:
        yield TriggerProblem(one.table, TriggerFault.DISABLED, name)
