"""Failed events one by one, and any event in full."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

from outboxctl.core.operator.selection import MATCHING, Selection, resolved, select_failed
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats.snapshot import COLUMNS, EventRow
from outboxctl.domain.fingerprints import LONGEST, fingerprint
from outboxctl.domain.json_numbers import loads
from outboxctl.domain.lifecycle import PROJECTION

FAILED_ROWS = f"SELECT {COLUMNS} {MATCHING} ORDER BY {EVENTS}.created_at, id"


def failed_rows(connection: Connection, selection: Selection) -> list[EventRow]:
    """The failed events of a selection, the oldest first, at most `selection.limit`."""
    selection = resolved(connection, selection)
    rows = (EventRow(*row) for row in select_failed(connection, FAILED_ROWS, selection))
    wanted = selection.fingerprint
    matches = (row for row in rows if wanted in (None, fingerprint(row.error_reason, row.error)))
    return list(islice(matches, selection.limit))


# JSON made by the server can hold any row: `infinity`, the year 20000, the application's own columns.
EVENT = text(f"""
SELECT to_json(e)::text, error_reason, left(error, {LONGEST}) FROM {EVENTS} e WHERE id = CAST(:id AS uuid)
""")


@dataclass(frozen=True)
class Event:
    """Every column of an event by name; `fingerprint` is that of its error, None if it has none."""

    row: dict[str, Any]
    fingerprint: str | None

    @property
    def key(self) -> str | None:
        """The key of its document in a declared projection; None for an event of search_index."""
        return self.row.get("entity_key")

    @property
    def projection(self) -> str:
        """The projection that it belongs to."""
        return PROJECTION if self.key is None else str(self.row["entity_type"])

    @property
    def of(self) -> str:
        """The key of its document; of search_index type and id of the entity."""
        return f"{self.row['entity_type']}:{self.row['entity_id']}" if self.key is None else self.key


def event_by_id(connection: Connection, id_: str) -> Event | None:
    """The event of this id, whatever its status; None if there is none."""
    connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")  # as the worker's documents have it
    row = connection.execute(EVENT, {"id": id_}).first()
    if row is None:
        return None
    return Event(loads(row[0]), fingerprint(*row[1:]) if row[1] or row[2] else None)
