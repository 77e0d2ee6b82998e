"""What `status` counts, what it estimates, and what it never reads."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.sql import text
from outboxctl.core.stats import by_projection, counts, snapshot
from outboxctl.core.stats.by_projection import Counted
from processes import eventually

FILL = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, status, created_at, next_retry_at, error_reason)
SELECT 'block', gen_random_uuid(), 'upsert', %s, %s::timestamptz + make_interval(secs => n), %s, %s
FROM generate_series(1, %s) n
"""
PARTITIONED = """
ALTER TABLE search_outbox_events RENAME TO plain;
CREATE TABLE search_outbox_events (LIKE plain INCLUDING DEFAULTS INCLUDING INDEXES) PARTITION BY HASH (id);
CREATE TABLE half PARTITION OF search_outbox_events FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE other_half PARTITION OF search_outbox_events FOR VALUES WITH (MODULUS 2, REMAINDER 1);
"""
DONE = 20_000
MOMENT = "2026-02-03T10:00:00+00:00"


def fill(sql: psycopg.Connection, status: str, count: int, retry: Any = None, reason: Any = None) -> None:
    sql.execute(FILL, [status, MOMENT, retry, reason, count])
    sql.execute("SELECT pg_stat_force_next_flush()")  # or it comes a second later, on top of a vacuum's


@pytest.fixture
def look(db: Database) -> Callable[..., Counted]:
    def counted() -> Counted:
        with db.begin() as connection:
            return by_projection.count(connection, max_processing=600)

    return counted


@pytest.fixture
def full(sql: psycopg.Connection) -> psycopg.Connection:
    """Many done rows and a few of every other kind, as a busy outbox has them; never analysed."""
    sql.execute("ALTER TABLE search_outbox_events SET (autovacuum_enabled = off)")
    fill(sql, "done", DONE)
    fill(sql, "pending", 3_000)
    fill(sql, "pending", 20, retry="2026-02-03T11:00:00Z", reason="connect")
    fill(sql, "processing", 10)
    fill(sql, "failed", 50, reason="mapping")
    fill(sql, "failed", 60)
    return sql


def test_a_small_table_is_counted_whole_odd_statuses_included(
    look: Callable[..., Counted], full: psycopg.Connection
) -> None:
    full.execute("ALTER TABLE search_outbox_events DROP CONSTRAINT ck_search_outbox_events_status")
    fill(full, "theirs", 2)
    seen = look()
    assert seen.status == {"pending": 3020, "processing": 10, "done": DONE, "failed": 110, "theirs": 2}
    assert list(seen.failed_by_reason.items()) == [("none", 60), ("mapping", 50)]
    assert seen.estimated == []
    assert seen.lag == 3030
    assert seen.stuck == 10, "neither lease nor start"


@pytest.mark.parametrize("known", ["analysed", "lost in a crash"])
def test_of_a_large_table_only_done_is_estimated(
    look: Callable[..., Counted], full: psycopg.Connection, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full.execute("VACUUM ANALYZE search_outbox_events")
    if known == "lost in a crash":
        full.execute("SELECT pg_stat_reset_single_table_counters('search_outbox_events'::regclass)")
    whole = look()
    monkeypatch.setattr(counts, "SMALL", -1)
    seen = look()
    assert (seen.estimated, whole.estimated) == (["done"], [])
    assert seen.status == whole.status | {"done": seen.status["done"]}
    assert abs(seen.status["done"] - DONE) < DONE / 50
    assert (seen.failed_by_reason, seen.lag, seen.stuck) == (whole.failed_by_reason, whole.lag, whole.stuck)
    assert seen.oldest_age_seconds == pytest.approx(whole.oldest_age_seconds, abs=60)


def test_the_partitions_of_a_partitioned_table_count(
    look: Callable[..., Counted], sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "SMALL", -1)
    sql.execute(PARTITIONED)
    fill(sql, "done", 4_000)
    fill(sql, "failed", 7)
    sql.execute("ANALYZE search_outbox_events")
    assert look().status == {"pending": 0, "processing": 0, "done": 4_000, "failed": 7}


def test_what_was_pruned_is_not_counted_until_the_next_vacuum(
    look: Callable[..., Counted], sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "SMALL", -1)
    sql.execute("ALTER TABLE search_outbox_events SET (autovacuum_enabled = off)")
    fill(sql, "done", 4_000)
    sql.execute("ANALYZE search_outbox_events")
    sql.execute("DELETE FROM search_outbox_events WHERE ctid >= '(20,0)'")
    (left,) = sql.execute("SELECT count(*) FROM search_outbox_events").fetchone() or (0,)
    assert 0 < left < 4_000
    eventually(lambda: look().status["done"] == left, what="the server's own count")


@pytest.mark.parametrize("analysed", [True, False])
@pytest.mark.parametrize("statement", ["PARTIAL", "UNDER_WAY"])
def test_no_done_row_is_ever_read(
    db: Database, full: psycopg.Connection, statement: str, analysed: bool
) -> None:
    if analysed:
        full.execute("VACUUM ANALYZE search_outbox_events")
    plan = explain(db, getattr(by_projection, statement), max_processing=600)
    assert "Seq Scan" not in str(plan)
    assert max(rows(plan)) <= 3_020


def test_the_oldest_come_in_order_whether_they_wait_or_not(db: Database, sql: psycopg.Connection) -> None:
    made = ["-infinity", "2026-01-01", "2026-01-02", "2026-01-03", "infinity"]
    for n, created in enumerate(made):
        sql.execute(FILL, ["pending", created, "infinity" if n % 2 else None, f"{n}", 1])
    with db.begin() as connection:
        assert [row.error_reason for row in snapshot.oldest(connection, limit=9)] == ["0", "1", "2", "3", "4"]
        assert [row.error_reason for row in snapshot.oldest(connection, limit=2)] == ["0", "1"]


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_impossible_moments_have_no_age(db: Database, sql: psycopg.Connection, status: str) -> None:
    for created in ("infinity", "-infinity"):
        sql.execute(FILL, [status, created, None, None, 1])
    with db.begin() as connection:
        (gauges,) = by_projection.gauges(connection, (), max_processing=600).values()
        counted = by_projection.count(connection, max_processing=600)
    assert (gauges.oldest_age_seconds, counted.oldest_age_seconds) == (0, 0)


def explain(db: Database, statement: Any, **given: Any) -> Any:
    with db.begin() as connection:
        query = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}")
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return connection.execute(query, given).scalar_one()[0]["Plan"]


def rows(node: dict[str, Any]) -> list[float]:
    """How many rows came out of each node of a plan, and how many each threw away."""
    own = [node["Actual Rows"], node.get("Rows Removed by Filter", 0)]
    return own + [count for child in node.get("Plans", []) for count in rows(child)]
