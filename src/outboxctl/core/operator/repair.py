"""Repair: ordinary events for entities that differ, with their audit row, in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from outboxctl.core.documents.table import EntityKey
from outboxctl.core.operator.audit import record
from outboxctl.core.produce import COLUMNS
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.core.sql import Connection, text

REQUESTED = (
    "unnest(CAST(:types AS text[]), CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) w (t, id, version)"
)
# Rows that are locked are skipped: they are changing anyway, and a wait would block others. The version is
# returned, not assumed: an application's trigger may set another one.
RAISE_VERSIONS = text(f"""
WITH free AS MATERIALIZED (
    SELECT s.entity_type AS t, s.entity_id AS id, s.event_version AS was, w.version
    FROM {REQUESTED} JOIN {SOURCE} s ON s.entity_type = w.t AND s.entity_id = w.id
    WHERE coalesce(s.event_version, -1) < w.version
    FOR UPDATE OF s SKIP LOCKED
)
UPDATE {SOURCE} s SET event_version = free.version FROM free
WHERE s.entity_type = free.t AND s.entity_id = free.id
RETURNING s.entity_type || ':' || s.entity_id, free.was, s.event_version
""")
EVENT = "'pending', 0, 0, now(), now()"
# A row that is gone has a delete event of its own; one below the requested version was locked.
UPSERTS = text(f"""
INSERT INTO {EVENTS} ({COLUMNS})
SELECT s.entity_type, s.entity_id, 'upsert', s.event_version, {EVENT}
FROM {REQUESTED} JOIN {SOURCE} s ON s.entity_type = w.t AND s.entity_id = w.id
WHERE s.event_version >= w.version
RETURNING id::text
""")
DELETES = text(f"""
INSERT INTO {EVENTS} ({COLUMNS})
SELECT w.t, w.id, 'delete', w.version, {EVENT}
FROM {REQUESTED}
WHERE NOT EXISTS (SELECT FROM {SOURCE} s WHERE s.entity_type = w.t AND s.entity_id = w.id)
RETURNING id::text
""")


class RepairEntity(NamedTuple):
    """An entity, and the lowest version at which its event replaces the document in the index."""

    key: EntityKey
    version: int


def enqueue(
    connection: Connection,
    *,
    upserts: Sequence[RepairEntity],
    raises: Sequence[RepairEntity],
    deletes: Sequence[RepairEntity],
    by: str,
    reason: str,
    act_id: str,
    filters: Mapping[str, Any],
) -> tuple[int, int]:
    """Raise the versions of `raises` (also among `upserts`), write the events and the audit row.

    Returns how many events were written, and how many rows raised: entities that changed meanwhile, or are
    locked, get no event.
    """
    raised = {id_: (was, is_) for id_, was, is_ in _rows(connection, RAISE_VERSIONS, raises)}
    ids = [row[0] for row in _rows(connection, UPSERTS, upserts)]
    ids += [row[0] for row in _rows(connection, DELETES, deletes)]
    if ids or raised:
        filters = {**filters, "raised": raised} if raised else filters
        record(connection, "repair", by=by, reason=reason, filters=filters, ids=ids, act_id=act_id)
    return len(ids), len(raised)


def _rows(connection: Connection, statement: Any, requested: Sequence[RepairEntity]) -> Any:
    if not requested:
        return []
    values = {
        "types": [key.entity_type for key, _ in requested],
        "ids": [key.entity_id for key, _ in requested],
        "versions": [version for _, version in requested],
    }
    return connection.execute(statement, values).all()
