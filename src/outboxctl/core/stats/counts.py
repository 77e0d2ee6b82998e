"""Counts of events: exact by the partial indexes, estimated where only a scan of the table could count."""

from collections import Counter as Tally
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outboxctl.core.projections.choosing import Scope
from outboxctl.core.schema.names import EVENTS, STUCK, parts
from outboxctl.core.sql import Connection, TextClause, text
from outboxctl.domain.failures import NO_REASON
from outboxctl.domain.lifecycle import Status

SMALL = 64 * 2**20  # bytes of the table (its TOAST aside) up to which all of it is counted: some 40 ms

FINITE = "created_at > '-infinity' AND created_at < 'infinity'"
AGE = "extract(epoch FROM coalesce(:now, now()) - {0})::float8"
# Each branch uses one partial index: `status IN (…)` would match none and read the whole table. The oldest
# fresh event is the first of its range; only those that wait for a retry are scanned.
PENDING = f"""
SELECT 'pending' AS status, NULL AS reason, count(*) AS events, 0::bigint AS stuck, {
    AGE.format(f'''least(
        (SELECT created_at FROM {EVENTS} WHERE status = 'pending' AND next_retry_at IS NULL AND {FINITE}
            ORDER BY next_retry_at, created_at LIMIT 1),
        (SELECT min(created_at) FROM {EVENTS} WHERE status = 'pending' AND next_retry_at IS NOT NULL
            AND {FINITE}))''')
} AS age
FROM {EVENTS} WHERE status = 'pending'
"""
PROCESSING = f"""
SELECT 'processing', NULL, count(*), count(*) FILTER (WHERE {STUCK}),
    {AGE.format(f"min(created_at) FILTER (WHERE {FINITE})")}
FROM {EVENTS} WHERE status = 'processing'
"""
FAILED = f"""
SELECT 'failed', coalesce(error_reason, 'none'), count(*), 0, NULL
FROM {EVENTS} WHERE status = 'failed' GROUP BY 2
"""
FAILED_WITHIN = text(f"""
SELECT count(*) FROM {EVENTS} WHERE status = 'failed'
    AND updated_at > coalesce(:now, now()) - make_interval(secs => :seconds)
""")
UNDER_WAY = text(f"{PENDING} UNION ALL {PROCESSING}")
PARTIAL = text(f"{PENDING} UNION ALL {PROCESSING} UNION ALL {FAILED}")
ALL_EVENTS = text(f"""
SELECT status, CASE WHEN status = 'failed' THEN coalesce(error_reason, 'none') END AS reason,
    count(*) AS events, count(*) FILTER (WHERE {STUCK}) AS stuck,
    {AGE.format(f"min(created_at) FILTER (WHERE status IN ('pending', 'processing') AND {FINITE})")} AS age
FROM {EVENTS} GROUP BY 1, 2
""")
# The server counts live rows from the last vacuum or analyze. After a crash, which resets statistics, they
# count from 0 until the next one: the rows a page at that time, times the pages now, are nearer.
SIZE = text(f"""
SELECT coalesce(sum(pg_relation_size(c.oid)), 0)::bigint AS bytes, coalesce(sum(CASE
    WHEN coalesce(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid),
        pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) IS NOT NULL
    THEN pg_stat_get_live_tuples(c.oid)
    ELSE greatest(pg_stat_get_live_tuples(c.oid), c.reltuples / nullif(c.relpages, 0)
        * (pg_relation_size(c.oid) / current_setting('block_size')::bigint)) END), 0)::bigint AS live
FROM ({parts(EVENTS)}) p JOIN pg_class c ON c.oid = p.part
""")


@dataclass(frozen=True)
class Gauges:
    """Events pending or processing, stuck ones, and the age in seconds of the oldest."""

    lag: int
    stuck: int
    oldest_age_seconds: float


@dataclass(frozen=True)
class Counts:
    """Events by status, failed ones by reason; `estimated` names the statuses that were not counted."""

    status: dict[str, int]
    failed_by_reason: dict[str, int]
    estimated: list[str]
    gauges: Gauges


def gauges(connection: Connection, *, max_processing: float, now: datetime | None = None) -> Gauges:
    """Lag, stuck and oldest age, by the partial indexes alone."""
    return gauges_of(_rows(connection, UNDER_WAY, max_processing, now))


def counts(
    connection: Connection, *, max_processing: float, exact: bool = False, now: datetime | None = None
) -> Counts:
    """Count in one snapshot. The `done` events of a large table are estimated, unless `exact`."""
    live = None if exact else estimated_rows(connection)
    return summed(_rows(connection, ALL_EVENTS if live is None else PARTIAL, max_processing, now), live)


def estimated_rows(connection: Connection) -> int | None:
    """An estimate of the rows of a large table; None for one that is small enough to be counted."""
    size = connection.execute(SIZE).one()
    return None if size.bytes <= SMALL else int(size.live)


def summed(rows: Any, live: int | None) -> Counts:
    """What the rows of a statement say, of which `live` rows of the table are no part if they are done."""
    by_status = dict.fromkeys((status.value for status in Status), 0)
    for row in rows:
        by_status[row.status] = by_status.get(row.status, 0) + row.events
    if live is not None:
        by_status["done"] = max(0, live - sum(by_status.values()))
    return Counts(by_status, by_reason(rows), [] if live is None else ["done"], gauges_of(rows))


def by_reason(rows: Any) -> dict[str, int]:
    """The failed events that the rows count by reason, the most frequent first; several rows may have one."""
    failed = Tally[str]()
    for row in rows:
        if row.status == Status.FAILED:
            failed[row.reason] += row.events
    return dict(sorted(failed.items(), key=lambda item: (-item[1], item[0])))


def failed_within(connection: Connection, seconds: float, *, now: datetime | None = None) -> int:
    """How many events became failed within the last `seconds`, and still are."""
    return int(connection.execute(FAILED_WITHIN, {"seconds": seconds, "now": now}).scalar_one())


def _rows(connection: Connection, statement: TextClause, max_processing: float, now: datetime | None) -> Any:
    connection.exec_driver_sql("SET LOCAL jit = off")  # compiling takes longer than counting
    return connection.execute(statement, {"max_processing": max_processing, "now": now}).all()


def gauges_of(rows: Any) -> Gauges:
    """What the rows of a statement say of the events that are not done."""
    lag = sum(row.events for row in rows if row.status in {"pending", "processing"})
    ages = [row.age for row in rows if row.age is not None]
    return Gauges(lag, sum(row.stuck for row in rows), max(0.0, *ages, 0.0))


AGES = (86_400, 3_600, 300, 60, 10)  # seconds, the oldest first
MAX_REASONS = 20  # reasons

# Compared as times, not as intervals: an event created at `infinity` has no age.
PENDING_BY_AGE = text(f"""
SELECT width_bucket(created_at, ARRAY (
    SELECT coalesce(:now, now()) - make_interval(secs => age)
    FROM unnest(CAST(:ages AS integer[])) WITH ORDINALITY AS u (age, place) ORDER BY place)), count(*)
FROM {EVENTS} WHERE status = 'pending' GROUP BY 1
""")
RETRIES = text(f"""
SELECT coalesce(error_reason, '{NO_REASON}'), count(*), max(attempts),
    extract(epoch FROM min(next_retry_at) FILTER (WHERE isfinite(next_retry_at))
        - coalesce(:now, now()))::float8
FROM {EVENTS} WHERE status = 'pending' AND next_retry_at > coalesce(:now, now())
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MAX_REASONS}
""")
# One range of the index that the claim reads.
NOT_DUE = f"""
SELECT count(*), coalesce(extract(epoch FROM max(next_retry_at) FILTER (WHERE isfinite(next_retry_at))
    - coalesce(:now, now())), 0)::float8
FROM {EVENTS} WHERE status = 'pending' AND next_retry_at > coalesce(:now, now()){{scope}}
"""


@dataclass(frozen=True)
class Aged:
    """Pending events created up to `within` seconds ago, and longer ago than the range before; None: any."""

    within: int | None
    count: int


@dataclass(frozen=True)
class NotDue:
    """How many events wait for a retry that is not due yet; the last of them is due in `seconds`."""

    count: int
    seconds: float


@dataclass(frozen=True)
class Retries:
    """Events that wait for their next attempt, of one reason; the first is due in `due_in` seconds."""

    error_reason: str
    count: int
    most_attempts: int
    due_in: float | None


def pending_by_age(connection: Connection, *, now: datetime | None = None) -> list[Aged]:
    """Pending events by age, the youngest first; every range is there."""
    rows: dict[int, int] = dict(connection.execute(PENDING_BY_AGE, {"now": now, "ages": list(AGES)}).all())
    ranges = [*enumerate(AGES, 1)][::-1]
    return [Aged(age, rows.get(place, 0)) for place, age in ranges] + [Aged(None, rows.get(0, 0))]


def retries(connection: Connection, *, now: datetime | None = None) -> list[Retries]:
    """Retries that are not due yet, by reason, the most frequent first."""
    return [Retries(*row) for row in connection.execute(RETRIES, {"now": now})]


def not_due(
    connection: Connection,
    of: Scope = Scope(),  # noqa: B008 - frozen
    *,
    now: datetime | None = None,
) -> NotDue:
    """The retries that are not due yet, all together; those `of` a projection."""
    statement = text(NOT_DUE.format(scope=of.condition))
    return NotDue(*connection.execute(statement, {"now": now, **of.values}).one())
