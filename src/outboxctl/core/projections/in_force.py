"""The projections in force: kept in the database, so that all workers and commands agree."""

import json

from outboxctl.core.schema.names import PROJECTIONS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Projection

READ = text(f"SELECT definition::text FROM {PROJECTIONS} ORDER BY name")
WRITE = text(f"""
INSERT INTO {PROJECTIONS} (name, definition, applied_by)
VALUES (:name, CAST(:definition AS jsonb), :by)
ON CONFLICT (name) DO UPDATE SET definition = EXCLUDED.definition, applied_by = EXCLUDED.applied_by,
    applied_at = now()
""")
REMOVE = text(f"DELETE FROM {PROJECTIONS} WHERE name = :name")


def read(connection: Connection) -> list[Projection]:
    """All projections in force, by name. UsageError (through Database.begin) without the tables."""
    rows = connection.execute(READ).scalars()
    return [Projection.from_json(json.loads(definition)) for definition in rows]


def write(connection: Connection, projection: Projection, *, by: str) -> None:
    """Put a projection in force, in place of one of its name."""
    definition = json.dumps(projection.to_json())
    connection.execute(WRITE, {"name": projection.name, "definition": definition, "by": by})


def remove(connection: Connection, name: str) -> bool:
    """Take a projection out of force; False if there was none."""
    return bool(connection.execute(REMOVE, {"name": name}).rowcount)
