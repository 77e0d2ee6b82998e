"""Pending events by age, and retries that are not due yet by reason."""

import psycopg

from outboxctl.core.database import Database
from outboxctl.core.stats import counts
from outboxctl.core.stats.counts import Aged

PENDING = """
INSERT INTO search_outbox_events
    (entity_type, entity_id, op, status, created_at, next_retry_at, error_reason, attempts)
SELECT 'block', gen_random_uuid(), 'upsert', 'pending', %s::timestamptz, %s::timestamptz, %s, 3
FROM generate_series(1, %s)
"""


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
