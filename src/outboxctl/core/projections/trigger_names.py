"""The tables that projections watch, and the triggers on each: their names, and when they fire.

A table has one set of triggers, whatever the number of projections that use it.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace

from psycopg.sql import SQL, Identifier, Literal

from outboxctl.core.database import driver
from outboxctl.core.projections import catalog
from outboxctl.core.projections.catalog import MAX_NAME
from outboxctl.core.projections.fields import fields
from outboxctl.core.schema.names import PROJECTIONS, tag
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import BLANK_PADDED, EVERYTHING, Follow, KeyColumn, Projection, Relation

# Bytes of a table's name that a trigger's has room for.
LONGEST = MAX_NAME - len("outbox__12345678_truncate")


@dataclass(frozen=True)
class Watched:
    """What one projection watches of a table: its root, or a followed table by its place in the projection.

    `of` says how the documents of a row are found; of the root no more than the columns whose change counts.
    `key`: its columns that hold a document's key, with the types of the root's.
    """

    projection: str
    place: int | None
    of: Follow
    key: tuple[KeyColumn, ...]

    @property
    def follow(self) -> int | None:
        """What the events of its changes have as `follow`: NULL where the table has the document's key."""
        if self.of.all:
            return EVERYTHING
        return None if self.key else self.place

    @property
    def key_names(self) -> tuple[str, ...]:
        """The columns that say which documents a row belongs to."""
        return (*(each.name for each in self.key), *self.of.parameters)

    @property
    def all_names(self) -> tuple[str, ...]:
        """All columns that it needs by name."""
        return tuple(dict.fromkeys([*self.key_names, *self.of.columns]))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns whose change counts; none: every column."""
        return self.all_names if self.of.columns else ()


@dataclass(frozen=True)
class WatchedTable:
    """A table with all that watch it."""

    table: Relation
    users: tuple[Watched, ...]

    @property
    def key_names(self) -> tuple[str, ...]:
        """The columns that say which documents of any projection a row belongs to."""
        return tuple(dict.fromkeys(name for each in self.users for name in each.key_names))

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that any projection uses; none: every column."""
        if not all(each.names for each in self.users):
            return ()
        return tuple(dict.fromkeys(name for each in self.users for name in each.names))

    @property
    def projections(self) -> tuple[str, ...]:
        """The projections that use it."""
        return tuple(dict.fromkeys(each.projection for each in self.users))


def tables_of(projection: Projection) -> set[Relation]:
    """The root and the followed tables."""
    return {projection.root, *(each.table for each in projection.follow)}


def watched_tables(projections: Iterable[Projection], tables: Collection[Relation]) -> list[WatchedTable]:
    """Those of the tables that a projection with triggers uses, in the order of their names."""
    users: dict[Relation, list[Watched]] = {}
    for projection in sorted(projections, key=lambda each: each.name):
        for each in watched(projection) if projection.triggers else ():
            users.setdefault(each.of.table, []).append(each)
    return [WatchedTable(table, tuple(users[table])) for table in sorted(tables, key=str) if table in users]


def watched(projection: Projection) -> list[Watched]:
    """The root first, then the followed tables in their order; one table may occur several times."""
    root = Follow(projection.root, columns=projection.columns)
    found = [Watched(projection.name, None, root, projection.key)]
    for place, follow in enumerate(projection.follow):
        own = dict(zip(follow.key, follow.types, strict=False))
        # By their texts both are alike, but for the blanks at the end of a child's char(n).
        key = tuple(
            KeyColumn(name, BLANK_PADDED if own.get(name) == BLANK_PADDED else column.type)
            for name, column in zip(follow.key, projection.key, strict=bool(follow.key))
        )
        found.append(Watched(projection.name, place, follow, key))
    return found


def function_name(schema: str, table: Relation, *, rows: bool = False) -> str:
    """The name of a table's function; `rows`: of its triggers for each row. `schema` is the outbox's.

    A hash: schemas may have tables of one name, and outboxes triggers on one table.
    """
    digest = hashlib.sha256("\0".join((schema, table.schema, table.name)).encode()).hexdigest()[:8]
    readable = table.name.encode()[:LONGEST].decode(errors="ignore")
    return "_".join(("outbox", readable, digest, *(["row"] if rows else [])))


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
    own = tables_of(projection) if projection.triggers else set()
    every = own | {*former}
    others = [
        each for each in in_force if each.name != projection.name and not every.isdisjoint(tables_of(each))
    ]
    used = {each.table: each for each in watched_tables([projection, *others], every)}
    found = [used.get(table, WatchedTable(table, ())) for table in sorted(own | {*former}, key=str)]
    return [
        _usable(connection, each, projection.name)
        for each in found
        if each.table in own or not each.users or catalog.kind(connection, each.table) is not None
    ]


def _usable(connection: Connection, table: WatchedTable, projection: str) -> WatchedTable:
    if table.projections in ((), (projection,)):
        return table
    there = {each.name for each in fields(connection, table.table) if each.computed is None}
    # Where another projection misses a column, each change reaches all its documents.
    every = Follow(table.table, all=True)
    users = (
        replace(each, key=(), of=every)
        if each.projection != projection and there and not there >= {*each.all_names}
        else each
        for each in table.users
    )
    return replace(table, users=tuple(users))


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
