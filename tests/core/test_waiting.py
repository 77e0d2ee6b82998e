"""Which events wait: for their delivery at all, and for their first attempt for how long."""

import psycopg
import pytest

from moments import Insert, at, when
from outboxctl.core.database import Database
from outboxctl.core.stats.counts import SOME, waiting
from outboxctl.core.stats.snapshot import anything_waiting


@pytest.mark.parametrize(
    ("status", "attempts", "retry", "waits"),
    [
        ("pending", 0, None, True),
        ("pending", 2, -1, True),
        ("pending", 2, 20, True),
        ("pending", 0, 20, False),
        ("processing", 1, None, True),
        ("done", 1, None, False),
        ("failed", 10, None, False),
    ],
)
def test_what_waits(
    db: Database, insert: Insert, status: str, attempts: int, retry: int | None, waits: bool
) -> None:
    insert(status=status, attempts=attempts, next_retry_at=None if retry is None else at(retry))
    with when(db, 0) as connection:
        assert anything_waiting(connection) is waits


ADD = """
INSERT INTO search_outbox_events
    (entity_type, entity_id, op, event_version, status, next_retry_at, created_at)
SELECT 'block', gen_random_uuid(), 'upsert', 1, %s, %s::timestamptz,
    coalesce(%s::timestamptz, now() - n * interval '10 s')
FROM generate_series(1, %s) n
"""


def seconds(db: Database) -> float:
    with db.begin() as connection:
        return waiting(connection)


def test_it_is_the_age_that_some_events_have_reached(db: Database, sql: psycopg.Connection) -> None:
    assert seconds(db) == 0
    sql.execute(ADD, ["pending", None, None, SOME - 1])
    assert seconds(db) == 0
    sql.execute(ADD, ["pending", None, None, SOME])
    # Of 19 events two each are 10 s, 20 s, … old; the tenth from the oldest.
    assert seconds(db) == pytest.approx(50, abs=5)


@pytest.mark.parametrize(
    ("status", "retry", "created"),
    [
        ("pending", "2000-01-01", None),
        ("processing", None, None),
        ("failed", None, None),
        ("done", None, None),
        ("pending", None, "-infinity"),
        ("pending", None, "infinity"),
        ("pending", None, "3000-01-01"),
    ],
)
def test_others_do_not_count(
    db: Database, sql: psycopg.Connection, status: str, retry: str | None, created: str | None
) -> None:
    sql.execute(ADD, [status, retry, created, 2 * SOME])
    assert seconds(db) == 0
