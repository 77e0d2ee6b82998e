"""Whether the triggers of a projection's tables are in the database as `triggers.sql` makes them."""

import re
from collections.abc import Iterable, Iterator

from psycopg.sql import SQL, Composable, Literal

from outboxctl.core.projections import trigger_places
from outboxctl.core.projections.catalog import RELATION, kind, of, row_level
from outboxctl.core.projections.changes import outbox_schema
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.trigger_faults import TriggerFault, TriggerProblem, of_triggers
from outboxctl.core.projections.trigger_functions import RIGHTS
from outboxctl.core.projections.trigger_keys import settings
from outboxctl.core.projections.trigger_names import Watched, WatchedTable, function_name, watched
from outboxctl.core.projections.trigger_places import function_call
from outboxctl.core.projections.trigger_users import shared
from outboxctl.core.projections.triggers import events_table, function_condition, functions_sql
from outboxctl.core.sql import Connection, Row, text
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
# Ours, and functions of other tables that write this projection's events all the same.
OURS = """({ours} OR {projection} = ANY (
    string_to_array(substring(p.prosrc FROM '^\n-- projections: ([a-z0-9_, ]*)'), ', ')))"""
OID = text(f"SELECT c.oid::bigint FROM {RELATION}")
# What `trigger_columns` puts into a function: the oid of the table, and the numbers of its columns.
RECORDED = re.compile(r"\b(?:attrelid <>|attrelid =) (\d+)")
NUMBERS = re.compile(
    r"(?<=TG_RELID, )\d+|(?<=attrelid <> )\d+|(?<=attrelid = )\d+|\d+::(?:oid|int2)|(?<=', )\d+(?=\))"
    r"|\b[on]\d+\b"
)


def installed(
    connection: Connection, projection: Projection, in_force: Iterable[Projection] = ()
) -> list[TriggerProblem]:
    """What differs from what `triggers.sql` would leave, beside the other projections `in_force`."""
    if not projection.triggers:
        return []
    schema = outbox_schema(connection)
    tables = shared(connection, projection, in_force)
    ours = _condition(projection.name, tables, schema)
    functions = {row.name: row for row in _rows(connection, SQL(FUNCTIONS), schema, ours)}
    rows = row_level(connection, [each.table for each in tables])
    found = [problem for one in watched(projection) for problem in _of_table(connection, one)]
    lacking = {each.table for each in found}
    oids = {each.table: oid for each in tables if (oid := _oid(connection, each.table))}
    there = [each for each in tables if each.table not in lacking]
    made = _made(connection, functions_sql(there, schema, rows, oids)) if there else {}
    for one in tables:
        for by_row in (False, True) if one.table in rows else (False,):
            name = function_name(schema, one.table, rows=by_row)
            call = function_call(schema, one.table, rows=by_row)
            found += _of_function(one, functions.get(name), made.get(call))
    if not oids:
        return found
    wanted = trigger_places.wanted([*oids], schema, rows, oids)
    return [*found, *of_triggers(connection, wanted, ours)]


def _condition(projection: str, tables: Iterable[WatchedTable], schema: str) -> Composable:
    ours = function_condition([each.table for each in tables], schema)
    return SQL(OURS).format(ours=ours, projection=Literal(projection))


def _rows(connection: Connection, query: SQL, schema: str, ours: Composable) -> list[Row]:
    composed = query.format(events=Literal(events_table(schema)), ours=ours).as_string()
    return list(connection.exec_driver_sql(composed.replace("%", "%%")))


def _oid(connection: Connection, table: Relation) -> int | None:
    found: int | None = connection.execute(OID, of(table)).scalar()
    return found


def _of_table(connection: Connection, one: Watched) -> Iterator[TriggerProblem]:
    if kind(connection, one.table) is None:
        yield TriggerProblem(one.table, TriggerFault.NO_TABLE, one.table.name)
        return
    there = {field.name for field in fields(connection, one.table)}
    yield from (
        TriggerProblem(one.table, TriggerFault.NO_COLUMN, name) for name in one.all_names if name not in there
    )


def _made(connection: Connection, functions: Composable) -> dict[str, Row]:
    """What `triggers.sql` would make: oid of the table and text, by the name of the function."""
    query = f"SELECT function, watched::oid::bigint AS oid, body FROM ({functions.as_string()}) made"
    return {row.function: row for row in connection.exec_driver_sql(query.replace("%", "%%"))}


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
