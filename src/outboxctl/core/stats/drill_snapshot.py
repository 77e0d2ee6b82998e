"""Counts and rows of a small outbox for drills, which read them several times a second."""

from collections.abc import Sequence
from dataclasses import dataclass

from outboxctl.core.schema.names import EVENTS, SOURCE, STUCK
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats.snapshot import COLUMNS, EventRow

COUNT_ALL = text(f"""
SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'processing'),
    count(*) FILTER (WHERE status = 'done'), count(*) FILTER (WHERE status = 'failed'),
    count(*) FILTER (WHERE {STUCK}),
    count(*) FILTER (WHERE status = 'pending' AND next_retry_at > now()),
    greatest(coalesce(extract(epoch FROM now() - min(created_at)
        FILTER (WHERE status IN ('pending', 'processing')))::float8, 0), 0),
    coalesce(max(attempts), 0), coalesce(sum(attempts), 0),
    count(*) FILTER (WHERE status <> 'processing'
        AND num_nonnulls(owner, lease_token, lease_until, processing_started_at) > 0)
FROM {EVENTS}
""")
NAMED = text(f"""
SELECT {COLUMNS} FROM {EVENTS} o WHERE id = ANY (CAST(:ids AS uuid[])) OR CAST(:ids AS uuid[]) IS NULL
ORDER BY created_at, id
""")
# Invariant 2: what is done must be in the index at this version or a newer one, or gone from the source. Not
# of declared projections: their documents are compared with their views.
DONE = text(f"""
SELECT e.entity_type || ':' || e.entity_id, max(e.event_version), max(s.event_version)
FROM {EVENTS} e LEFT JOIN {SOURCE} s USING (entity_type, entity_id)
WHERE e.status = 'done' AND e.error_reason IS DISTINCT FROM 'discarded' AND e.entity_key IS NULL
GROUP BY 1
""")


@dataclass(frozen=True)
class EventCounts:
    """Events by status at one moment; `waiting` are pending with a retry in the future.

    `oldest_age` is in seconds, of pending and processing events; `attempts` is the sum over all events,
    `attempts_most` the highest; `half_held` are rows that break invariant 3.
    """

    pending: int
    processing: int
    done: int
    failed: int
    stuck: int
    waiting: int
    oldest_age: float
    attempts_most: int
    attempts: int
    half_held: int

    @property
    def lag(self) -> int:
        """Events pending or processing."""
        return self.pending + self.processing

    @property
    def total(self) -> int:
        """All events."""
        return self.lag + self.done + self.failed


@dataclass(frozen=True)
class DoneEntity:
    """An entity with a done event: the newest version of these, and of its row (None: gone)."""

    id: str
    event_version: int
    source_version: int | None


def count_all(connection: Connection, *, max_processing: float) -> EventCounts:
    """Count everything, by the database's clock; reads the whole table."""
    row = connection.execute(COUNT_ALL, {"max_processing": max_processing}).one()
    return EventCounts(*row)


def events(connection: Connection, ids: Sequence[str] | None = None) -> list[EventRow]:
    """These events, or all, the oldest first."""
    parameters = {"ids": None if ids is None else list(ids)}
    return [EventRow(*row) for row in connection.execute(NAMED, parameters)]


def done(connection: Connection) -> list[DoneEntity]:
    """Every entity with a done event that no operator discarded."""
    return [DoneEntity(*row) for row in connection.execute(DONE)]
