"""A dead worker's events come back; those that outlived every attempt end."""

import psycopg
import pytest

from moments import Insert, at
from outboxctl.core.database import Database
from outboxctl.core.reclaim import Reclaimed, reclaim


def run(db: Database, seconds: float, max_attempts: int = 3) -> Reclaimed:
    with db.begin() as connection:
        return reclaim(connection, max_processing=600, max_attempts=max_attempts, now=at(seconds))


@pytest.mark.parametrize(
    ("lease", "started", "seconds", "total"),
    [
        (10, 0, 9, 0),
        (10, 0, 11, 1),
        (10_000, 0, 599, 0),
        (10_000, 0, 601, 1),
        (None, 0, 599, 0),
        (None, 0, 601, 1),
        (None, None, 0, 1),
    ],
)
def test_when_an_event_is_stuck(
    db: Database, insert: Insert, lease: int | None, started: int | None, seconds: int, total: int
) -> None:
    insert(
        status="processing",
        attempts=1,
        lease_until=None if lease is None else at(lease),
        processing_started_at=None if started is None else at(started),
    )
    assert run(db, seconds).total == total


def test_spent_attempts_end_in_failed(db: Database, insert: Insert, sql: psycopg.Connection) -> None:
    for attempts in (1, 2, 3, 4):
        insert(status="processing", attempts=attempts, lease_until=at(10), processing_started_at=at(0))
    found = run(db, 11)
    assert (found.pending, found.failed_ops) == (2, ["upsert", "upsert"])
    rows = sql.execute("SELECT DISTINCT status, error_reason, next_retry_at, owner FROM search_outbox_events")
    assert sorted(rows.fetchall()) == [
        ("failed", "lease_expired", None, None),
        ("pending", "lease_expired", None, None),
    ]
