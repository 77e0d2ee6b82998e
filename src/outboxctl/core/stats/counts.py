"""Events that failed or wait, and for how long; the size of the table."""

from dataclasses import dataclass

from outboxctl.core.schema.names import EVENTS, PLAN, parts, pending
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import PROJECTION

SMALL = 64 * 2**20  # bytes of the table (its TOAST aside) up to which all of it is counted: some 40 ms

FINITE = "created_at > '-infinity' AND created_at < 'infinity'"
AGE = "extract(epoch FROM now() - {0})::float8"
FAILED_WITHIN = text(f"""
SELECT count(*) FROM {EVENTS} WHERE status = 'failed'
    AND updated_at > now() - make_interval(secs => :seconds)
""")
# The server counts live rows, after a crash from 0 until the next vacuum or analyze: the rows a page at the
# last one, times the pages now, are nearer then, and only then: pages keep what was deleted or updated.
SIZE = text(f"""
SELECT coalesce(sum(pg_relation_size(c.oid)), 0)::bigint AS bytes, coalesce(sum(CASE
    WHEN num_nonnulls(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid),
        pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) > 0
    THEN pg_stat_get_live_tuples(c.oid)
    ELSE greatest(pg_stat_get_live_tuples(c.oid), c.reltuples / nullif(c.relpages, 0)
        * (pg_relation_size(c.oid) / current_setting('block_size')::bigint)) END), 0)::bigint AS live
FROM ({parts(EVENTS)}) p JOIN pg_class c ON c.oid = p.part
""")


def estimated_rows(connection: Connection) -> int | None:
    """An estimate of the rows of a large table; None for one that is small enough to be counted."""
    size = connection.execute(SIZE).one()
    return None if size.bytes <= SMALL else int(size.live)


def failed_within(connection: Connection, seconds: float) -> int:
    """How many events became failed within the last `seconds`, and still are."""
    return int(connection.execute(FAILED_WITHIN, {"seconds": seconds}).scalar_one())


# The oldest event that was tried, and is to be tried again: what one shard, index or projection refuses.
TRIED = f"error_reason IS NOT NULL AND error_reason <> '{Reason.LEASE_EXPIRED}' AND {FINITE}"
SINCE = "greatest(created_at, last_replayed_at)"  # greatest() leaves NULL out
# Each branch reads the events between two attempts alone, of which a backlog has few.
OLDEST_TRIED = text(f"""
SELECT {AGE.format(SINCE)}, error_reason,
    CASE WHEN entity_key IS NOT NULL THEN entity_type ELSE '{PROJECTION}' END
FROM (
    (SELECT * FROM ({pending(f"next_retry_at IS NOT NULL AND {TRIED}")}) e
        ORDER BY {SINCE} LIMIT 1)
    UNION ALL
    (SELECT * FROM {EVENTS} WHERE status = 'processing' AND {TRIED} ORDER BY {SINCE} LIMIT 1)
) o ORDER BY {SINCE} LIMIT 1
""")


@dataclass(frozen=True)
class InVain:
    """How many seconds ago the event was made or replayed, the reason of its last try, and its projection."""

    age_seconds: float
    reason: str
    projection: str


def oldest_in_vain(connection: Connection) -> InVain | None:
    """None while no event waits for another attempt."""
    row = connection.execute(OLDEST_TRIED).one_or_none()
    return InVain(max(0.0, row[0]), row[1], row[2]) if row else None


SOME = 10  # events: a lone one waits for the next poll, however quick the worker is
# The index has events that were never tried in this order, so these are the first of their ranges.
WAITING = text(f"""
SELECT extract(epoch FROM now() - created_at)::float8
FROM ({pending(f"next_retry_at IS NULL AND {FINITE}", limit=str(SOME))}) e
ORDER BY created_at OFFSET {SOME - 1} LIMIT 1
""")


def waiting(connection: Connection) -> float:
    """Seconds that at least ten events have waited for their first attempt; 0 where fewer wait."""
    connection.exec_driver_sql(PLAN)
    return max(0.0, connection.execute(WAITING).scalar() or 0.0)
