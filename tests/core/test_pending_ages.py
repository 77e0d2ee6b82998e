"""Retries that are not due yet, by reason."""

import psycopg

from outboxctl.core.database import Database
from outboxctl.core.stats import counts

PENDING = """
INSERT INTO search_outbox_events
    (entity_type, entity_id, op, status, created_at, next_retry_at, error_reason, attempts)
SELECT 'block', gen_random_uuid(), 'upsert', 'pending', %s::timestamptz, %s::timestamptz, %s, 3
FROM generate_series(1, %s)
"""


def test_retries_by_reason(sql: psycopg.Connection, db: Database) -> None:
    sql.execute(PENDING, ["now", None, None, 1])
    sql.execute(PENDING, ["now", "infinity", "connect", 2])
    sql.execute(PENDING, ["now", "2999-01-01", None, 3])
    sql.execute(PENDING, ["now", "1999-01-01", "timeout", 5])
    with db.begin() as connection:
        retries = counts.retries(connection)
    assert [(each.error_reason, each.count, each.most_attempts) for each in retries] == [
        ("none", 3, 3),
        ("connect", 2, 3),
    ], "those that are due wait for no retry"
    assert retries[1].due_in is None
    assert retries[0].due_in is not None
