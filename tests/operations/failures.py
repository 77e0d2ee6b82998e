"""Events that failed, put in by hand, and operators' commands on them."""

import psycopg

from scene import event

WHO = ("--by", "alice", "--reason", "fixed root cause")
MANY = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, status, attempts, error_reason,
    error, created_at)
SELECT 'block', gen_random_uuid(), 'upsert', 1, 'failed', 3, %s, 'it broke ' || n,
    now() - make_interval(secs => n)
FROM generate_series(1, %s) n
"""


def fail(sql: psycopg.Connection, error: str | None = "it broke", **columns: object) -> str:
    """One failed event; any column can be given. Returns its id."""
    row: dict[str, object] = {"event_version": 1, "status": "failed", "attempts": 3, "error": error}
    row |= {"error_reason": "mapping", "created_at": "2026-01-01Z", "updated_at": "2026-01-02Z"}
    return event(sql, **row | columns)


def fail_many(sql: psycopg.Connection, count: int, reason: str = "mapping") -> None:
    """So many failed events of one cause."""
    sql.execute(MANY, [reason, count])
