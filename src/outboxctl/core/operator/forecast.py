"""Forecast of a replay: the events of a plan that would not write a document of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

from outboxctl.core.documents.source_rows import OP_LIST
from outboxctl.core.schema.names import EVENTS, SOURCE, id_array
from outboxctl.core.sql import Connection, TextClause, text
from outboxctl.domain.failures import Reason

# No worker sends an unknown op or an invalid version.
# One of a declared projection needs neither version nor source row: its document is read after the claim.
PLANNED = f"""(SELECT *, coalesce(op IN ({OP_LIST}) AND event_version >= 0, false) AS sendable
    FROM {EVENTS} p WHERE id = ANY (CAST(:ids AS uuid[])) AND to_jsonb(p) ->> 'entity_key' IS NULL) e"""
SENDABLE = f"(SELECT * FROM {PLANNED} WHERE sendable) e"
SAME = "o.entity_type = e.entity_type AND o.entity_id = e.entity_id"
# A newer event has changed the source row or deleted it: only for such rows the done events are searched.
# They have no index for it, which each write of an event would pay for: with ten million done rows this reads
# all of them once, in a few seconds.
NOTABLE = text(f"""
SELECT id, sendable AND (gone OR coalesce(now_at >= 0, false)) AS accepted, sendable AND gone AS gone,
    sendable AND (gone OR now_at > event_version) AS moved_on
FROM (SELECT e.id::text, e.sendable, e.event_version, s.entity_id IS NULL AS gone, s.event_version AS now_at
      FROM {PLANNED} LEFT JOIN {SOURCE} s ON s.entity_type = e.entity_type AND s.entity_id = e.entity_id) e
WHERE NOT sendable OR gone OR coalesce(now_at < 0 OR now_at > event_version, true)
""")
SUPERSEDED = text(f"""
SELECT count(*) FROM {SENDABLE} WHERE EXISTS (
    SELECT FROM {EVENTS} o WHERE {SAME} AND o.status = 'done' AND o.event_version > e.event_version
        AND o.error_reason IS DISTINCT FROM '{Reason.DISCARDED}')
""")
# Where nothing is pending, no event is read.
COALESCED = text(f"""
SELECT count(*) FROM {SENDABLE} WHERE EXISTS (SELECT FROM {EVENTS} WHERE status = 'pending') AND EXISTS (
    SELECT FROM {EVENTS} o WHERE {SAME} AND o.status = 'pending')
""")


@dataclass(frozen=True)
class Forecast:
    """How many events of a plan would not write a document; one can count more than once.

    `superseded`: a newer event of its entity was delivered. `coalesced`: another one of its entity is
    pending. `source_gone`: its source row is gone, so a delete would be sent. `unsendable`: its op is
    unknown, or its version or that of its source row is invalid: it would fail again.
    """

    superseded: int
    coalesced: int
    source_gone: int
    unsendable: int


def forecast(connection: Connection, ids: Sequence[str]) -> Forecast:
    """The forecast for these events. Reads only; uses the memory of the ids."""
    notable = connection.execute(NOTABLE, {"ids": id_array(ids)}).all()
    unsendable = sum(not row.accepted for row in notable)
    gone = sum(row.gone for row in notable)
    # Statistics may say that nothing is pending: a nested loop would compare all events with all events.
    connection.exec_driver_sql("SET LOCAL enable_nestloop = off")
    superseded = _count(connection, SUPERSEDED, [row.id for row in notable if row.moved_on])
    return Forecast(superseded, _count(connection, COALESCED, ids), gone, unsendable)


def _count(connection: Connection, statement: TextClause, ids: Sequence[str]) -> int:
    return int(connection.execute(statement, {"ids": id_array(ids)}).scalar_one()) if ids else 0
