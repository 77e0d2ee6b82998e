"""The projections in force: kept in the database, so that all workers and commands agree."""

from dataclasses import replace

from pydantic import TypeAdapter

from outboxctl.core.schema.names import PROJECTIONS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import ChangedError
from outboxctl.domain.projection import Projection

# A hash of a definition and the time of its `apply`: what was dropped, or changed and changed back, and is in
# force again is not the same, for changes in between reached no index, or another one.
HASH = "md5(definition::text || extract(epoch FROM applied_at)::text)"
STAMP = f"(SELECT {HASH} FROM {PROJECTIONS} WHERE name = {{name}})"
READ = text(f"SELECT definition::text, {HASH} FROM {PROJECTIONS} ORDER BY name")
IS_STAMP = text(f"SELECT {STAMP.format(name=':name')}")
OF_JSON = TypeAdapter(Projection)
REMOVE = text(f"DELETE FROM {PROJECTIONS} WHERE name = :name")


def read(connection: Connection) -> list[Projection]:
    """All projections in force, by name. UsageError (through Database.begin) without the tables."""
    rows = connection.execute(READ)
    return [replace(OF_JSON.validate_json(definition), stamp=stamp) for definition, stamp in rows]


def holds(connection: Connection, projection: Projection) -> bool:
    """Whether this is the definition in force; one that was not read from the database is taken for it."""
    stamp = connection.execute(IS_STAMP, {"name": projection.name}).scalar()
    return projection.stamp in ("", stamp)


def require(connection: Connection, projection: Projection) -> None:
    """Raise ChangedError unless this is the definition in force."""
    if not holds(connection, projection):
        raise ChangedError(projection.name)


def remove(connection: Connection, name: str) -> bool:
    """Take a projection out of force; False if there was none."""
    return bool(connection.execute(REMOVE, {"name": name}).rowcount)
