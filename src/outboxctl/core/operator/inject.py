"""Inserts for drills: bad events, single events, and the load generator's transactions."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import func, insert

from outboxctl.core.produce import COLUMNS, checked
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.core.sql import Connection, text
from outboxctl.core.tables import EVENTS as TABLE
from outboxctl.domain.lifecycle import Status

ENTITY_TYPE = "block"  # the default

# An outbox that was adopted may lack defaults.
NEW = {
    "status": Status.PENDING,
    "attempts": 0,
    "replay_count": 0,
    "created_at": func.now(),
    "updated_at": func.now(),
}
# Row and event in one statement, so in one transaction: what an application does. Each row of the
# input is one entity; a first write has version 1, the next ones count up.
UPSERTS = text(f"""
WITH written AS (
    INSERT INTO {SOURCE} AS s (id, entity_type, entity_id, library_id, text, snippet, rank_score,
        event_version, created_at, updated_at)
    SELECT gen_random_uuid(), :entity_type, n.entity_id, NULL, n.content, left(n.content, 200), 0, 1,
        now(), now()
    FROM unnest(CAST(:ids AS uuid[]), CAST(:contents AS text[])) n (entity_id, content)
    ON CONFLICT (entity_type, entity_id) DO UPDATE SET text = excluded.text, snippet = excluded.snippet,
        event_version = s.event_version + 1, updated_at = now()
    RETURNING entity_type, entity_id, event_version
)
INSERT INTO {EVENTS} ({COLUMNS})
SELECT entity_type, entity_id, 'upsert', event_version, 'pending', 0, 0, now(), now()
FROM written
""")
ROW = text(f"""
INSERT INTO {SOURCE} (id, entity_type, entity_id, library_id, text, snippet, rank_score, event_version,
    created_at, updated_at)
VALUES (gen_random_uuid(), '{ENTITY_TYPE}', CAST(:entity_id AS uuid), NULL, 'injected', 'injected',
    CAST(:rank_score AS float8), :version, now(), now())
""")
DELETES = text(f"""
WITH deleted AS (
    DELETE FROM {SOURCE} WHERE entity_type = :entity_type AND entity_id = ANY (CAST(:ids AS uuid[]))
    RETURNING entity_type, entity_id, event_version
)
INSERT INTO {EVENTS} ({COLUMNS})
SELECT entity_type, entity_id, 'delete', event_version + 1, 'pending', 0, 0, now(), now()
FROM deleted
""")


def event(connection: Connection, *, entity_type: str, entity_id: str, op: str, version: int) -> str:
    """Insert one event as it is, whatever its op; returns its id, the column's default."""
    row = {"entity_type": entity_type, "entity_id": entity_id, "op": op, "event_version": version}
    return str(connection.execute(insert(TABLE).values(row | NEW).returning(TABLE.c.id)).scalar_one())


def good(connection: Connection, *, entity_type: str, entity_id: str, op: str, version: int) -> str:
    """Insert one event that a worker can deliver; returns its id. ValueError for any other."""
    values = checked(entity_type=entity_type, entity_id=entity_id, op=op, event_version=version)
    return event(connection, version=values.pop("event_version"), **values)


def upserts(
    connection: Connection, *, entity_type: str, ids: Sequence[UUID], contents: Sequence[str]
) -> None:
    """Write source rows and their events; the ids are distinct."""
    values = {"entity_type": entity_type, "ids": list(map(str, ids)), "contents": list(contents)}
    connection.execute(UPSERTS, values)


def deletes(connection: Connection, *, entity_type: str, ids: Sequence[UUID]) -> None:
    """Delete source rows and write their delete events."""
    connection.execute(DELETES, {"entity_type": entity_type, "ids": list(map(str, ids))})


def stale(connection: Connection) -> str:
    """Insert a row at version 2 with an event of version 1; returns the event's id."""
    return _event_of(connection, _row(connection, version=2))


def duplicates(connection: Connection, count: int) -> list[str]:
    """Insert a row with `count` equal events; returns their ids."""
    entity = _row(connection)
    return [_event_of(connection, entity) for _ in range(count)]


def poison(connection: Connection) -> str:
    """Insert a row and its event; the index refuses the document, for its number is NaN."""
    return _event_of(connection, _row(connection, rank_score="NaN"))


def _row(connection: Connection, *, version: int = 1, rank_score: str = "0") -> str:
    entity = str(uuid4())
    values = {"entity_id": entity, "version": version, "rank_score": rank_score}
    connection.execute(ROW, values)
    return entity


def _event_of(connection: Connection, entity: str) -> str:
    return event(connection, entity_type=ENTITY_TYPE, entity_id=entity, op="upsert", version=1)
