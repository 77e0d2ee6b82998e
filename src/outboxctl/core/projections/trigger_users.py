"""What all projections in force watch of a projection's tables, since they share functions and triggers."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, replace

from psycopg.sql import SQL, Identifier, Literal

from outboxctl.core.database import driver
from outboxctl.core.projections import catalog
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.trigger_functions import tag
from outboxctl.core.projections.trigger_names import Watched, WatchedTable, tables_of, watched_tables
from outboxctl.core.schema.names import PROJECTIONS
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import Projection, Relation

# What others than these projections watch of these tables.
BESIDE = """
SELECT coalesce(string_agg(name || ' ' || md5(jsonb_build_array(definition -> 'root', definition -> 'key',
    definition -> 'columns', definition -> 'follow', definition -> 'triggers')::text), ' ' ORDER BY name), '')
FROM {projections} WHERE name <> ALL (ARRAY[{names}]::text[]) AND EXISTS (
    SELECT FROM jsonb_array_elements(
        jsonb_build_array(definition -> 'root') || jsonb_path_query_array(definition, '$.follow[*].table')) t
    WHERE t IN (SELECT jsonb_array_elements({tables}::jsonb)))"""
AS_BEFORE = """
DO {outer}
BEGIN
    IF ({beside}) <> {found} THEN
        RAISE EXCEPTION 'this script was made for a database in which other projections use these tables'
            USING HINT = 'make it again for this database: outboxctl projection sql FILE';
    END IF;
END
{outer};
"""


def shared(
    connection: Connection,
    projection: Projection,
    in_force: Iterable[Projection],
    former: Collection[Relation] = (),
) -> list[WatchedTable]:
    """The tables that a projection watches, and those that it did (`former`), each with all that watch it.

    `in_force`: any projections; one of the same name does not count. A former table that is not there by its
    name, and that others watch, is left out: it stays as it is.
    """
    others = [each for each in in_force if each.name != projection.name]
    own = tables_of(projection) if projection.triggers else set()
    used = {each.table: each for each in watched_tables([projection, *others], own | {*former})}
    found = [used.get(table, WatchedTable(table, ())) for table in sorted(own | {*former}, key=str)]
    return [_usable(connection, each, projection.name) for each in found if _known(connection, each, own)]


def _known(connection: Connection, table: WatchedTable, own: Collection[Relation]) -> bool:
    return table.table in own or not table.users or catalog.kind(connection, table.table) is not None


def _usable(connection: Connection, table: WatchedTable, projection: str) -> WatchedTable:
    if table.projections in ((), (projection,)):
        return table
    there = {each.name for each in fields(connection, table.table) if each.computed is None}
    users = (each if each.projection == projection else _if_there(each, there) for each in table.users)
    return replace(table, users=tuple(users))


def _if_there(user: Watched, there: set[str]) -> Watched:
    """Of another projection that misses a column: each change reaches all its documents."""
    if there and not there >= {*user.all_names}:
        return replace(user, key=(), parameters=(), types=(), columns=(), all=True)
    return user


def beside_sql(
    connection: Connection, schema: str, names: Collection[str], tables: Collection[Relation]
) -> str:
    """SQL that raises an error where other projections watch other things of these tables than they do here.

    Their share of the functions that a script makes is what it was where the script was printed.
    """
    beside = SQL(BESIDE).format(
        projections=Identifier(schema, PROJECTIONS),
        names=SQL(", ").join(map(Literal, names)),
        tables=Literal(json.dumps([asdict(each) for each in tables])),
    )
    found = (driver(connection).execute(beside).fetchone() or ("",))[0]
    outer = SQL(tag("beside", beside.as_string()))
    return SQL(AS_BEFORE).format(outer=outer, beside=beside, found=Literal(found)).as_string()
