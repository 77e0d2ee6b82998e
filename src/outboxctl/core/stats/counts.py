"""Counting events: exact by the partial indexes, estimated where only a whole scan would tell."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, text

from outboxctl.core.schema.names import EVENTS, STUCK, parts
from outboxctl.domain.lifecycle import Status

SMALL = 64 * 2**20  # bytes of the table (its TOAST aside) up to which all of it is counted: some 40 ms

FINITE = "created_at > '-infinity' AND created_at < 'infinity'"
AGE = "extract(epoch FROM coalesce(:now, now()) - {0})::float8"
# Each branch has one partial index to go by: `status IN (…)` would fit none and read the whole table.
# The oldest fresh event is the first of its range; only those that wait for a retry are looked through.
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
WHOLE = text(f"""
SELECT status, CASE WHEN status = 'failed' THEN coalesce(error_reason, 'none') END AS reason,
    count(*) AS events, count(*) FILTER (WHERE {STUCK}) AS stuck,
    {AGE.format(f"min(created_at) FILTER (WHERE status IN ('pending', 'processing') AND {FINITE})")} AS age
FROM {EVENTS} GROUP BY 1, 2
""")
# Live rows are kept by the server since the last vacuum or analyze. Statistics that were lost in a crash
# count from nothing until the next one: the density of the pages then, times the pages now, is nearer.
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
    """What a dashboard watches: events under way, stuck ones, and the age in seconds of the oldest."""

    lag: int
    stuck: int
    oldest_age_seconds: float


@dataclass(frozen=True)
class Counts:
    """Events by status, those that failed by reason; `estimated` names the statuses that were not counted."""

    status: dict[str, int]
    failed_by_reason: dict[str, int]
    estimated: list[str]
    gauges: Gauges


def gauges(connection: Connection, *, max_processing: float, now: datetime | None = None) -> Gauges:
    """Lag, stuck and oldest age, by the partial indexes alone."""
    return _gauges(_rows(connection, UNDER_WAY, max_processing, now))


def counts(
    connection: Connection, *, max_processing: float, exact: bool = False, now: datetime | None = None
) -> Counts:
    """Count by one snapshot. What is `done` in a large table is estimated, unless `exact`."""
    size = connection.execute(SIZE).one()
    whole = exact or size.bytes <= SMALL
    rows = _rows(connection, WHOLE if whole else PARTIAL, max_processing, now)
    by_status = dict.fromkeys((status.value for status in Status), 0)
    for row in rows:
        by_status[row.status] = by_status.get(row.status, 0) + row.events
    if not whole:
        by_status["done"] = max(0, size.live - sum(by_status.values()))
    failed = {row.reason: row.events for row in rows if row.status == "failed"}
    by_reason = dict(sorted(failed.items(), key=lambda item: (-item[1], item[0])))
    return Counts(by_status, by_reason, [] if whole else ["done"], _gauges(rows))


def failed_within(connection: Connection, seconds: float, *, now: datetime | None = None) -> int:
    """How many events have failed for good within the last `seconds`, and still are."""
    return int(connection.execute(FAILED_WITHIN, {"seconds": seconds, "now": now}).scalar_one())


def _rows(connection: Connection, statement: TextClause, max_processing: float, now: datetime | None) -> Any:
    connection.exec_driver_sql("SET LOCAL jit = off")  # compiling takes longer than counting
    return connection.execute(statement, {"max_processing": max_processing, "now": now}).all()


def _gauges(rows: Any) -> Gauges:
    lag = sum(row.events for row in rows if row.status in {"pending", "processing"})
    ages = [row.age for row in rows if row.age is not None]
    return Gauges(lag, sum(row.stuck for row in rows), max(0.0, *ages, 0.0))
