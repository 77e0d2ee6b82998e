"""The projections in force: kept in the database, so that all workers and commands agree."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from outboxctl.core.schema.names import EVENTS, PROJECTIONS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import ChangedError, UsageError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection

# A hash of a definition and the time of its `apply`: what was dropped, or changed and changed back, and is in
# force again is not the same, for changes in between reached no index, or another one.
HASH = "md5(definition::text || extract(epoch FROM applied_at)::text)"
STAMP = f"(SELECT {HASH} FROM {PROJECTIONS} WHERE name = {{name}})"
# With what a former version allowed: the column that the option `id` named, and the columns of the key that
# had another name in the root, which a view stood for.
RENAMED = """(SELECT string_agg(k ->> 'of', ', ') FROM jsonb_array_elements(definition -> 'key') k
    WHERE k ->> 'of' <> '')"""
DEFINITION = f"definition::text, coalesce(definition #>> '{{id,name}}', ''), coalesce({RENAMED}, '')"
READ = text(f"SELECT {DEFINITION}, {HASH} FROM {PROJECTIONS} ORDER BY name")
SOME = text(f"SELECT {DEFINITION}, {HASH} FROM {PROJECTIONS} WHERE name = ANY(CAST(:names AS text[]))")
# Another text after each row that is written, whoever writes it.
ROW = "concat_ws(' ', name, applied_at, xmin, ctid)"
ROWS = text(f"SELECT md5(string_agg({ROW}, ',' ORDER BY name)) FROM {PROJECTIONS}")
EACH = text(f"SELECT name::text, {ROW} FROM {PROJECTIONS} ORDER BY name")
IN_FORCE = text(f"SELECT {STAMP.format(name=':name')}")
OF_JSON = TypeAdapter(Projection)
REMOVE = text(f"DELETE FROM {PROJECTIONS} WHERE name = :name")


def read(connection: Connection) -> list[Projection]:
    """All projections in force, by name. UsageError (through Database.begin) without the tables."""
    return [_parsed(*row) for row in connection.execute(READ)]


@lru_cache(1_024)
def _parsed(definition: str, former_id: str, former_root_key: str, stamp: str) -> Projection:
    """Of fifty projections it takes 5 ms, and a plan reads them several times."""
    found = OF_JSON.validate_json(definition)
    return replace(found, former_id=former_id, former_root_key=former_root_key, stamp=stamp)


class Kept:
    """The projections in force as they were read last; those whose row was written since are read again.

    For one thread at a time. Hundreds of definitions are megabytes, and a worker asks several times a second.
    """

    def __init__(self) -> None:
        self._rows: object = self  # nothing that a database says
        self._each: dict[str, str] = {}
        self._read: list[Projection] = []

    def read(self, connection: Connection) -> list[Projection]:
        """As `read`: the same list while nothing has changed."""
        rows = connection.execute(ROWS).scalar()
        if rows != self._rows:
            self._rows, self._read = rows, self._changed(connection)
        return self._read

    def _changed(self, connection: Connection) -> list[Projection]:
        before, self._each = self._each, {row[0]: row[1] for row in connection.execute(EACH)}
        new = [name for name, row in self._each.items() if before.get(name) != row]
        found = {each.name: each for each in self._read}
        found |= {
            each.name: each for each in (_parsed(*row) for row in connection.execute(SOME, {"names": new}))
        }
        return [found[name] for name in self._each if name in found]


def require(connection: Connection, projection: Projection) -> None:
    """Raise ChangedError unless this is the definition in force, or one that was not read from there."""
    stamp = connection.execute(IN_FORCE, {"name": projection.name}).scalar()
    if projection.stamp not in ("", stamp):
        raise ChangedError(projection.name)


def remove(connection: Connection, name: str) -> bool:
    """Take a projection out of force; False if there was none."""
    return bool(connection.execute(REMOVE, {"name": name}).rowcount)


# SQL: whether an event belongs to a declared projection, and the name of that; NULL for the built-in one.
DECLARED = "entity_key IS NOT NULL"
OF_EVENT = f"CASE WHEN {DECLARED} THEN entity_type::text END"
MAY_READ = text(f"SELECT coalesce(has_table_privilege(to_regclass('{PROJECTIONS}'), 'SELECT'), false)")
NAMES = text(f"SELECT name::text FROM {PROJECTIONS} ORDER BY name")
MEMBERS = text(f"SELECT name::text FROM {PROJECTIONS} WHERE definition ->> 'family' = :family ORDER BY name")
# One branch for each partial index: done events are not read.
LEFT = text(f"""
SELECT EXISTS (SELECT FROM {EVENTS} WHERE status = 'pending' AND {DECLARED} AND entity_type = :name)
    OR EXISTS (SELECT FROM {EVENTS} WHERE status = 'processing' AND {DECLARED} AND entity_type = :name)
    OR EXISTS (SELECT FROM {EVENTS} WHERE status = 'failed' AND {DECLARED} AND entity_type = :name)
""")


@dataclass(frozen=True)
class Scope:
    """A condition on events that begins with AND, and the values of its parameters; empty: all events."""

    condition: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def declared(connection: Connection, kept: Kept | None = None) -> list[Projection]:
    """The projections in force, by name; none without the right to read them. `kept` has those of before."""
    if not readable(connection):
        return []
    return kept.read(connection) if kept else read(connection)


def names(connection: Connection) -> list[str]:
    """The names of the projections in force; empty as `declared` is."""
    return list(connection.execute(NAMES).scalars()) if readable(connection) else []


def members(connection: Connection, name: str) -> list[str]:
    """The names of the projections that a name stands for: those of a declaration for schemas, or itself."""
    found = list(connection.execute(MEMBERS, {"family": name}).scalars()) if readable(connection) else []
    return found or [name]


def require_known(connection: Connection, name: str) -> None:
    """Raise UsageError unless the projection is built in, in force, or has events that are not done."""
    there = names(connection)
    if name == PROJECTION or name in there or members(connection, name) != [name]:
        return
    if connection.execute(LEFT, {"name": name}).scalar():
        return  # it was dropped
    whole = name.partition(":")[0]
    known = ", ".join([*there, PROJECTION])
    hint = f"name it {whole}" if whole in there else f"there are: {brief(known, 500)}"
    raise UsageError(f"no projection {brief(repr(name), 80)} is in force", hint=hint)


def resolved(
    connection: Connection, projection: str | None, entity_type: str | None
) -> tuple[str | None, str | None]:
    """What a command chooses; an entity type that names a projection in force stands for the projection.

    Raises UsageError for an unknown projection.
    """
    if projection is not None:
        require_known(connection, projection)
        return projection, None if entity_type == projection else entity_type
    if entity_type is not None and not {*names(connection)}.isdisjoint(members(connection, entity_type)):
        return entity_type, None
    return None, entity_type


def scope(connection: Connection, projection: str | None) -> Scope:
    """The events of a projection (None: of any). Raises UsageError for an unknown one."""
    if projection is None:
        return Scope()
    require_known(connection, projection)
    if projection == PROJECTION:
        return Scope(" AND entity_key IS NULL")
    of = {"of_projections": members(connection, projection)}
    return Scope(f" AND {DECLARED} AND entity_type = ANY(:of_projections)", of)


def readable(connection: Connection) -> bool:
    """Whether this role may read which projections are in force."""
    return bool(connection.execute(MAY_READ).scalar())
