"""One event in full, and its source row as it is now."""

from dataclasses import dataclass
from json import loads
from typing import Any

from sqlalchemy import Connection, text

from outboxctl.core.schema import DOCUMENT, EVENTS, SOURCE

# JSON made by the server holds any row: `infinity`, the year 20000, columns of the application's own.
EVENT = text(f"SELECT to_json(e)::text FROM {EVENTS} e WHERE id = CAST(:id AS uuid)")
SOURCE_ROW = text(f"""
SELECT {DOCUMENT} FROM {SOURCE} s WHERE entity_type = :entity_type AND entity_id = CAST(:entity_id AS uuid)
LIMIT 1
""")


@dataclass(frozen=True)
class Event:
    """Every column of an event by name, and what would be sent for its entity now (None: a delete)."""

    row: dict[str, Any]
    source: dict[str, Any] | None

    @property
    def document_id(self) -> str:
        """The id of its entity's document in the index."""
        return f"{self.row['entity_type']}:{self.row['entity_id']}"


def find(connection: Connection, id_: str) -> Event | None:
    """The event of this id, whatever its status; None if there is none."""
    connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")  # as the worker's documents have it
    row = connection.execute(EVENT, {"id": id_}).scalar()
    if row is None:
        return None
    event = loads(row)
    entity = {name: event[name] for name in ("entity_type", "entity_id")}
    source = connection.execute(SOURCE_ROW, entity).scalar()
    return Event(event, source and loads(source))
