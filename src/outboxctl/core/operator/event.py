"""One event in full, and its source row as it is now."""

from dataclasses import dataclass
from json import loads
from typing import Any

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import DOCUMENT, EVENTS, SOURCE
from outboxctl.domain.fingerprints import LONGEST, fingerprint

# JSON made by the server holds any row: `infinity`, the year 20000, columns of the application's own.
# The error is cut where `failed list` cuts it: by bytes in a SQL_ASCII database.
EVENT = text(f"""
SELECT to_json(e)::text, error_reason, left(error, {LONGEST}) FROM {EVENTS} e WHERE id = CAST(:id AS uuid)
""")
SOURCE_ROW = text(f"""
SELECT {DOCUMENT} FROM {SOURCE} s WHERE entity_type = :entity_type AND entity_id = CAST(:entity_id AS uuid)
LIMIT 1
""")


@dataclass(frozen=True)
class Event:
    """Every column of an event by name, and what would be sent for its entity now (None: a delete).

    `fingerprint` is that of its error, None if it has none.
    """

    row: dict[str, Any]
    fingerprint: str | None
    source: dict[str, Any] | None

    @property
    def document_id(self) -> str:
        """The id of its entity's document in the index."""
        return f"{self.row['entity_type']}:{self.row['entity_id']}"


def find(connection: Connection, id_: str) -> Event | None:
    """The event of this id, whatever its status; None if there is none."""
    connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")  # as the worker's documents have it
    row = connection.execute(EVENT, {"id": id_}).first()
    if row is None:
        return None
    event, cause = loads(row[0]), fingerprint(*row[1:]) if row[1] or row[2] else None
    entity = {name: event[name] for name in ("entity_type", "entity_id")}
    source = connection.execute(SOURCE_ROW, entity).scalar()
    return Event(event, cause, source and loads(source))
