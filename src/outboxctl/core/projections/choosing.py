"""Which events belong to which projection, for commands that tell projections apart or choose one.

A role that may not read the declarations sees none in force.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from outboxctl.core.projections import in_force
from outboxctl.core.schema.names import EVENTS, PROJECTIONS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.errors import UsageError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection

# SQL: whether an event belongs to a declared projection, and the name of that; NULL for the built-in one.
DECLARED = "entity_key IS NOT NULL"
OF_EVENT = f"CASE WHEN {DECLARED} THEN entity_type::text END"
MAY_READ = text(f"SELECT coalesce(has_table_privilege(to_regclass('{PROJECTIONS}'), 'SELECT'), false)")
NAMES = text(f"SELECT name::text FROM {PROJECTIONS} ORDER BY name")
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
    values: Mapping[str, str] = field(default_factory=dict)


def declared(connection: Connection) -> list[Projection]:
    """The projections in force, by name; none without the right to read them."""
    return in_force.read(connection) if _readable(connection) else []


def names(connection: Connection) -> list[str]:
    """The names of the projections in force; empty as `declared` is."""
    return list(connection.execute(NAMES).scalars()) if _readable(connection) else []


def require_known(connection: Connection, name: str) -> None:
    """Raise UsageError unless the projection is built in, in force, or has events that are not done."""
    there = names(connection)
    if name == PROJECTION or name in there:
        return
    if connection.execute(LEFT, {"name": name}).scalar():
        return  # it was dropped
    known = ", ".join([*there, PROJECTION])
    raise UsageError(
        f"no projection {brief(repr(name), 80)} is in force", hint=f"there are: {brief(known, 500)}"
    )


def resolved(
    connection: Connection, projection: str | None, entity_type: str | None
) -> tuple[str | None, str | None]:
    """What a command chooses; an entity type that names a projection in force stands for the projection.

    Raises UsageError for an unknown projection.
    """
    if projection is not None:
        require_known(connection, projection)
        return projection, None if entity_type == projection else entity_type
    if entity_type is not None and entity_type in names(connection):
        return entity_type, None
    return None, entity_type


def scope(projection: str | None, entity_type: str | None = None) -> Scope:
    """The events of a projection (None: of any) and of an entity type (None: of any)."""
    values = {"of_type": entity_type} if entity_type is not None else {}
    condition = " AND entity_type = :of_type" if entity_type is not None else ""
    if projection is None:
        return Scope(condition, values)
    if projection == PROJECTION:
        return Scope(f"{condition} AND entity_key IS NULL", values)
    of = f" AND {DECLARED} AND entity_type = :of_projection"
    return Scope(condition + of, values | {"of_projection": projection})


def _readable(connection: Connection) -> bool:
    return bool(connection.execute(MAY_READ).scalar())
