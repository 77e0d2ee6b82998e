"""Reading where the pipeline stands: the lab document's snapshots A, B and C, and the gauges."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from outboxctl.core.schema import EVENTS, STUCK
from outboxctl.failures import Reason
from outboxctl.lifecycle import PROJECTION, Status

# A timestamp out of Python's range (infinity, the year 20000) would break the decoder.
SAFE = "CASE WHEN {0} BETWEEN '0001-01-02' AND '9999-12-30' THEN {0} END AS {0}"
COLUMNS = f"""id::text, entity_type, entity_id::text, op, event_version, status, owner, attempts,
    error_reason, error, {SAFE.format("created_at")}, {SAFE.format("next_retry_at")},
    {SAFE.format("lease_until")}, {SAFE.format("processing_started_at")}"""

GAUGES = text(f"""
SELECT count(*) FILTER (WHERE status IN ('pending', 'processing')) AS lag,
    count(*) FILTER (WHERE {STUCK}) AS stuck,
    coalesce(extract(epoch FROM coalesce(:now, now()) - min(created_at) FILTER (
        WHERE isfinite(created_at))), 0)::float8 AS oldest_age
FROM {EVENTS} WHERE status IN ('pending', 'processing')
""")
DISTRIBUTION = text(f"SELECT status, count(*) FROM {EVENTS} GROUP BY status")
FAILED_BY_REASON = text(f"""
SELECT coalesce(error_reason, 'none') AS reason, count(*) FROM {EVENTS}
WHERE status = 'failed' GROUP BY 1 ORDER BY 2 DESC, 1
""")
OLDEST = text(f"""
SELECT {COLUMNS} FROM {EVENTS} WHERE status = 'pending' ORDER BY created_at, id LIMIT :limit
""")
STUCK_ROWS = text(f"""
SELECT {COLUMNS} FROM {EVENTS} WHERE {STUCK} ORDER BY lease_until, id LIMIT :limit
""")
DUE = text(f"""
SELECT EXISTS (SELECT FROM {EVENTS} WHERE status = 'pending'
    AND (next_retry_at IS NULL OR next_retry_at <= coalesce(:now, now())))
""")
RECLAIMED = text(f"""
SELECT EXISTS (SELECT FROM {EVENTS} WHERE status = 'pending' AND error_reason = '{Reason.LEASE_EXPIRED}')
""")
WRITABLE = text("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean")


@dataclass(frozen=True)
class Gauges:
    """What a dashboard watches: events under way, stuck ones, and the age in seconds of the oldest."""

    lag: int
    stuck: int
    oldest_age_seconds: float


@dataclass(frozen=True)
class EventRow:
    """One event as people see it; timestamps out of range are None."""

    id: str
    entity_type: str
    entity_id: str
    op: str
    event_version: int | None
    status: str
    owner: str | None
    attempts: int
    error_reason: str | None
    error: str | None
    created_at: datetime | None
    next_retry_at: datetime | None
    lease_until: datetime | None
    processing_started_at: datetime | None


@dataclass(frozen=True)
class Standing:
    """`outboxctl status`: A (status), B (stuck), C (oldest_pending), failures by reason, lag and age."""

    projection: str
    status: dict[str, int]
    stuck: int
    lag: int
    oldest_age_seconds: float
    oldest_pending: list[EventRow]
    failed_by_reason: dict[str, int]


def gauges(connection: Connection, *, max_processing: float, now: datetime | None = None) -> Gauges:
    """Lag, stuck and oldest age, by the partial indexes alone."""
    row = connection.execute(GAUGES, {"max_processing": max_processing, "now": now}).one()
    return Gauges(row.lag, row.stuck, max(0.0, row.oldest_age))


def standing(connection: Connection, *, max_processing: float, now: datetime | None = None) -> Standing:
    """Everything that `status` shows, in one transaction."""
    counts = dict.fromkeys((s.value for s in Status), 0)
    counts |= {str(status): count for status, count in connection.execute(DISTRIBUTION)}
    now_ = gauges(connection, max_processing=max_processing, now=now)
    return Standing(
        PROJECTION,
        counts,
        now_.stuck,
        now_.lag,
        now_.oldest_age_seconds,
        oldest(connection, limit=5),
        dict(connection.execute(FAILED_BY_REASON).all()),
    )


def oldest(connection: Connection, *, limit: int) -> list[EventRow]:
    """The oldest pending events (C)."""
    return _rows(connection, OLDEST, limit=limit)


def stuck(
    connection: Connection, *, limit: int, max_processing: float, now: datetime | None = None
) -> list[EventRow]:
    """The rows behind B."""
    return _rows(connection, STUCK_ROWS, limit=limit, max_processing=max_processing, now=now)


def anything_due(connection: Connection, *, now: datetime | None = None) -> bool:
    """Whether a claim would find something."""
    return bool(connection.execute(DUE, {"now": now}).scalar())


def anything_reclaimed(connection: Connection) -> bool:
    """Whether events of dead workers wait to be taken, one by one."""
    return bool(connection.execute(RECLAIMED).scalar())


def _rows(connection: Connection, statement: Any, **given: Any) -> list[EventRow]:
    return [EventRow(*row) for row in connection.execute(statement, given)]


def writable(connection: Connection) -> bool:
    """Whether this server takes writes: `SELECT 1` succeeds on a read-only one after a failover."""
    return not connection.execute(WRITABLE).scalar()
