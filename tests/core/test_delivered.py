"""What became done is counted exactly in a small table, and in a large one where the newest rows lie."""

from collections.abc import Callable
from types import SimpleNamespace

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.stats import counts, delivered
from outboxctl.core.stats.counts import Aged
from outboxctl.core.stats.delivered import Delivered

DONE = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, status, processed_at, error_reason)
SELECT 'block', gen_random_uuid(), 'upsert', 'done', now() - %s::interval, %s FROM generate_series(1, %s)
"""
PENDING = """
INSERT INTO search_outbox_events
    (entity_type, entity_id, op, status, created_at, next_retry_at, error_reason, attempts)
SELECT 'block', gen_random_uuid(), 'upsert', 'pending', %s::timestamptz, %s::timestamptz, %s, 3
FROM generate_series(1, %s)
"""
PARTITIONED = """
ALTER TABLE search_outbox_events RENAME TO plain;
CREATE TABLE search_outbox_events (LIKE plain INCLUDING DEFAULTS) PARTITION BY RANGE (created_at);
CREATE TABLE "old: 50%" PARTITION OF search_outbox_events
    FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE "Newest" PARTITION OF search_outbox_events FOR VALUES FROM ('2026-02-01') TO (MAXVALUE);
"""
MANY = 30_000  # rows: some 530 pages


@pytest.fixture
def look(db: Database) -> Callable[[], Delivered]:
    def read() -> Delivered:
        with db.begin() as connection:
            return delivered.delivered(connection)

    return read


def _done(sql: psycopg.Connection, ago: str, count: int, reason: str | None = None) -> None:
    sql.execute(DONE, [ago, reason, count])


def _few_pages(sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
    sql.execute("ALTER TABLE search_outbox_events SET (autovacuum_enabled = off)")
    monkeypatch.setattr(delivered, "SHARE", pages * 8192)


def test_a_small_table_is_counted_by_minute_and_by_quarter(
    sql: psycopg.Connection, look: Callable[[], Delivered]
) -> None:
    _done(sql, "30 seconds", 5)
    _done(sql, "59 minutes 30 seconds", 7)
    _done(sql, "23 hours 50 minutes", 11)
    for outside in ("25 hours", "-1 hour"):
        _done(sql, outside, 13)
    for odd in ("infinity", "-infinity"):
        sql.execute(DONE.replace("now() - %s::interval", "%s::timestamptz"), [odd, None, 3])
    _done(sql, "1 minute", 17, "discarded")
    seen = look()
    assert (len(seen.last_hour), len(seen.last_day)) == (60, 96)
    assert (seen.last_hour[-1], seen.last_hour[0], sum(seen.last_hour)) == (5, 7, 12)
    assert (seen.last_day[-1], seen.last_day[-4], seen.last_day[0], sum(seen.last_day)) == (5, 7, 11, 23)
    assert not seen.estimated
    assert seen.read_bytes == seen.table_bytes > 0


def test_the_newest_part_of_a_large_table_is_counted_and_the_rest_is_picked_from(
    sql: psycopg.Connection, look: Callable[[], Delivered], monkeypatch: pytest.MonkeyPatch
) -> None:
    _few_pages(sql, monkeypatch, 100)
    _done(sql, "20 hours", MANY)
    _done(sql, "30 seconds", 500)
    seen = look()
    assert seen.estimated
    assert seen.read_bytes == pytest.approx(200 * 8192, rel=0.01)
    assert sum(seen.last_hour) == 500, "it lies at the end: nothing to guess"
    assert sum(seen.last_day) - 500 == pytest.approx(MANY, rel=0.55)  # 100 of 430 pages: six sigma


def test_partitions_are_read_newest_first_whatever_their_names(
    sql: psycopg.Connection, look: Callable[[], Delivered], monkeypatch: pytest.MonkeyPatch
) -> None:
    sql.execute(PARTITIONED)
    _done(sql, "30 seconds", 300)
    into_old = DONE.replace("processed_at,", "processed_at, created_at,").replace(
        "interval,", "interval, '2026-01-15',"
    )
    sql.execute(into_old, ["30 seconds", None, 300])
    assert (sum(look().last_hour), look().estimated) == (600, False)
    sql.execute(into_old, ["2 days", None, MANY])
    monkeypatch.setattr(delivered, "SHARE", 20 * 8192)
    seen = look()
    assert seen.estimated
    assert sum(seen.last_hour) >= 300, "the newest partition is counted"


def test_an_old_server_is_never_asked_for_a_range_of_pages() -> None:
    old = SimpleNamespace(name="events", bytes=1_000 * 8192, block=8192, server=130_000)
    (part,) = delivered._divided([old], 100)
    assert part.first == part.pages == 1_000, "it would read all of the table for it"


def test_nothing_was_done_in_an_empty_table(look: Callable[[], Delivered]) -> None:
    seen = look()
    assert (sum(seen.last_day), seen.estimated, seen.table_bytes) == (0, False, 0)


def test_pending_by_age_and_retries_by_reason(sql: psycopg.Connection, db: Database) -> None:
    for created, count in (("now", 1), ("1990-01-01", 2), ("-infinity", 4), ("infinity", 8)):
        sql.execute(PENDING, [created, None, None, count])
    sql.execute(PENDING, ["now", "infinity", "connect", 2])
    sql.execute(PENDING, ["now", "2999-01-01", None, 3])
    sql.execute(PENDING, ["now", "1999-01-01", "timeout", 5])
    with db.begin() as connection:
        ages, retries = counts.pending_by_age(connection), counts.retries(connection)
    assert ages == [Aged(10, 19), *(Aged(n, 0) for n in (60, 300, 3_600, 86_400)), Aged(None, 6)]
    assert [(each.error_reason, each.count, each.most_attempts) for each in retries] == [
        ("none", 3, 3),
        ("connect", 2, 3),
    ], "those that are due wait for no retry"
    assert retries[1].due_in is None
    assert retries[0].due_in is not None
