"""The state of the pipeline: the lab document's snapshots A, B and C, rates and workers."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from outboxctl.core.projections import follow_tables, in_force
from outboxctl.core.schema.names import EVENTS, OF_PROJECTION, SAFE, STUCK, pending
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats import by_projection, workers
from outboxctl.core.stats.by_projection import Counted
from outboxctl.core.stats.following import Following, FollowPace, drain_seconds
from outboxctl.core.stats.workers import Outage, WorkerRow
from outboxctl.domain.failures import Reason
from outboxctl.domain.fingerprints import LONGEST
from outboxctl.domain.lifecycle import PROJECTION

# Of a row `o`.
COLUMNS = f"""id::text, entity_type, entity_id::text, op, event_version, status, owner, attempts,
    error_reason, left(error, {LONGEST}), {SAFE.format("created_at")}, {SAFE.format("next_retry_at")},
    {SAFE.format("lease_until")}, {SAFE.format("processing_started_at")},
    CASE WHEN entity_key IS NOT NULL THEN entity_type ELSE '{PROJECTION}' END, entity_key,
    {SAFE.format("updated_at")}, coalesce(replay_count, 0)"""

# The oldest fresh ones are the first of their range; those that wait for a retry are sorted beside them
# (the claim reads the same two ranges). Events of one time, of a bulk insert a million, have no order there.
OLDEST_OF = f"""
SELECT {COLUMNS} FROM (
    ({pending("next_retry_at IS NULL{scope}", limit=":limit")})
    UNION ALL
    (SELECT * FROM ({pending("next_retry_at IS NOT NULL{scope}")}) e ORDER BY created_at LIMIT :limit)
) o ORDER BY o.created_at, o.id LIMIT :limit
"""
STUCK_ROWS = f"""
SELECT {COLUMNS} FROM {EVENTS} o WHERE {STUCK}{{scope}} ORDER BY lease_until, id LIMIT :limit
"""
FRESH, RETRIES = (
    f"EXISTS ({pending(f'next_retry_at {when}', limit='1')})" for when in ("IS NULL", "<= now()")
)
DUE = text(f"SELECT {FRESH} OR {RETRIES}")
OF_ONE = f"SELECT FROM {EVENTS} WHERE status = 'pending' AND {OF_PROJECTION} = :name AND next_retry_at"
# Two ranges of one index, and of the events that wait longer the next ones.
DUE_OF = text(f"""
SELECT EXISTS ({OF_ONE} IS NULL) OR EXISTS ({OF_ONE} <= now()) OR EXISTS (SELECT FROM (
    {OF_ONE.replace("SELECT", "SELECT error_reason", 1)} > now()
    ORDER BY {OF_PROJECTION}, next_retry_at LIMIT 1000
) e WHERE error_reason = CAST(:held AS text))
""")
# Retries that are not due count, but not events that were never tried and have a later next_retry_at. Retries
# are due within OUTBOX_MAX_BACKOFF_SECONDS, so they are among the first 1,000.
WAITING = text(f"""
SELECT {FRESH} OR {RETRIES} OR EXISTS (SELECT FROM {EVENTS} WHERE status = 'processing')
    OR EXISTS (SELECT FROM ({pending("next_retry_at > now()", limit="1000")}) e WHERE attempts > 0)
""")
RECLAIMED = text(f"""
SELECT EXISTS (SELECT FROM {EVENTS} WHERE status = 'pending' AND error_reason = '{Reason.LEASE_EXPIRED}'
    AND {OF_PROJECTION} <> ALL (CAST(:closed AS text[])))
""")
WRITABLE = text("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean")


@dataclass(frozen=True)
class EventRow:
    """One event for people; timestamps out of range are None, a long error is cut.

    `projection` is the one that it belongs to, `entity_key` the key of a declared one's document.
    """

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
    projection: str = PROJECTION
    entity_key: str | None = None
    updated_at: datetime | None = None
    replay_count: int = 0


@dataclass(frozen=True, kw_only=True)
class PipelineStatus(Counted):
    """`outboxctl status`: A (status), B (stuck), C (oldest_pending), failures, pace and workers.

    Rates are events a second as the living workers last reported, null while none does; `drain_seconds` is
    null as `Flow.drain_seconds` says, and while that of a followed table is not known.
    Where one projection was `chosen`, all is of its events alone, without rates, and without done events
    that could only be estimated. `projections` has the built-in one last. `away`: what
    takes no events while some wait for it.
    """

    projection: str
    oldest_pending: list[EventRow]
    rate_in: float | None
    rate_out: float | None
    drain_seconds: float | None
    workers: list[WorkerRow]
    circuit_open: bool | None
    chosen: bool = False
    away: list[Outage] = field(default_factory=list)

    @property
    def declared(self) -> bool:
        """Whether any projection but the built-in one is in force, or has events."""
        return any(each.name != PROJECTION for each in self.projections)

    @property
    def following(self) -> list[Following]:
        """The followed tables of all projections for which events wait."""
        return [table for each in self.projections for table in each.following]


def pipeline_status(
    connection: Connection,
    *,
    max_processing: float,
    projection: str | None = None,
    pace: FollowPace | None = None,
) -> PipelineStatus:
    """Everything that `status` shows.

    With a `projection` of its events alone. `pace`: that of follow events, which is measured from one call to
    the next. Raises UsageError for an unknown projection.
    """
    seen = by_projection.count(connection, max_processing=max_processing, only=projection, pace=pace)
    known = workers.all_workers(connection)
    flow = workers.flow(known)
    followed = [table for each in seen.projections for table in each.following]
    of_documents = seen.lag - sum(table.events for table in followed)
    # Of what comes in while changes are expanded, most is written for them: it is in their time already.
    alone = replace(flow, rate_in=0.0) if followed else flow
    drained = drain_seconds(alone.drain_seconds(of_documents, seen.waiting_for_retry), followed)
    whole = projection is None
    return PipelineStatus(
        **vars(seen),
        projection=projection or PROJECTION,
        oldest_pending=oldest(connection, limit=5, projection=projection),
        rate_in=flow.rate_in if whole else None,
        rate_out=flow.rate_out if whole else None,
        drain_seconds=drained if whole else None,
        workers=known,
        circuit_open=flow.circuit_open,
        chosen=not whole,
        away=_away(known, seen),
    )


def _away(known: Sequence[WorkerRow], seen: Counted) -> list[Outage]:
    """The outages for which events wait, with their number."""
    lags = {each.name: each.lag for each in seen.projections} | {None: seen.lag}
    found = (replace(each, events=lags.get(each.projection, 0)) for each in workers.outages(known))
    return [each for each in found if each.events]


def oldest(connection: Connection, *, limit: int, projection: str | None = None) -> list[EventRow]:
    """The oldest pending events (C). Raises UsageError for an unknown projection."""
    return _rows(connection, OLDEST_OF, projection, limit=limit)


def stuck(
    connection: Connection, *, limit: int, max_processing: float, projection: str | None = None
) -> list[EventRow]:
    """The rows behind B. Raises UsageError for an unknown projection."""
    return _rows(connection, STUCK_ROWS, projection, limit=limit, max_processing=max_processing)


def claimable(connection: Connection) -> bool:
    """Whether an event is due; a claim may pass it over: it may be locked, or its index away."""
    return bool(connection.execute(DUE).scalar())


def due_of(connection: Connection, name: str, *, held: str | None = None) -> bool:
    """The same of one projection (empty: search_index), or whether one waits that was put back as `held`."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # as in `anything_waiting`
    return bool(connection.execute(DUE_OF, {"name": name, "held": held}).scalar())


def anything_due(connection: Connection) -> bool:
    """Whether an event is due, or the expander of a worker could go on with a follow event."""
    return claimable(connection) or follow_tables.due(connection)


def anything_waiting(connection: Connection) -> bool:
    """Whether any event is due, processing, or between two attempts."""
    # On a table that was emptied, old statistics of its backlog would make the planner read all of it.
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    return bool(connection.execute(WAITING).scalar())


def anything_reclaimed(connection: Connection, *, closed: Sequence[str] = ()) -> bool:
    """Whether reclaimed events wait, which are claimed apart from others, not of `closed` projections."""
    return bool(connection.execute(RECLAIMED, {"closed": list(closed)}).scalar())


def _rows(connection: Connection, query: str, projection: str | None, **values: Any) -> list[EventRow]:
    of = in_force.scope(connection, projection)
    statement = text(query.format(scope=of.condition))
    return [EventRow(*row) for row in connection.execute(statement, values | dict(of.values))]


def writable(connection: Connection) -> bool:
    """Whether this server takes writes: `SELECT 1` succeeds on a read-only one after a failover."""
    return not connection.execute(WRITABLE).scalar()
