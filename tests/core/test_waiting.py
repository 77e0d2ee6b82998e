"""Whether any event waits to be delivered: also between two attempts, but not what somebody put off."""

import psycopg
import pytest

from moments import at, when
from outboxctl.core.database import Database
from outboxctl.core.stats.snapshot import anything_waiting

EVENT = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, status, attempts, next_retry_at)
VALUES ('block', gen_random_uuid(), 'upsert', 1, %s, %s, %s)
"""


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
    db: Database, sql: psycopg.Connection, status: str, attempts: int, retry: int | None, waits: bool
) -> None:
    sql.execute(EVENT, [status, attempts, None if retry is None else at(retry)])
    with when(db, 0) as connection:
        assert anything_waiting(connection) is waits
