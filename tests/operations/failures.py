"""Events that failed, put in by hand, and operators' commands on them."""

from uuid import uuid4

import psycopg

WHO = ("--by", "alice", "--reason", "fixed root cause")
INSERT = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts,
    error_reason, error, created_at, updated_at, replay_count, last_replayed_at)
VALUES (%(id)s, %(entity_type)s, %(entity_id)s, %(op)s, %(event_version)s, %(status)s, %(attempts)s,
    %(error_reason)s, %(error)s, %(created_at)s::timestamptz, %(updated_at)s::timestamptz, %(replay_count)s,
    %(last_replayed_at)s::timestamptz)
"""
MANY = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, status, attempts, error_reason,
    error, created_at)
SELECT 'block', gen_random_uuid(), 'upsert', 1, 'failed', 3, %s, 'it broke ' || n,
    now() - make_interval(secs => n)
FROM generate_series(1, %s) n
"""


def fail(sql: psycopg.Connection, error: str | None = "it broke", **columns: object) -> str:
    """One failed event; any column can be given. Returns its id."""
    row: dict[str, object] = {"id": str(uuid4()), "entity_type": "block", "entity_id": str(uuid4())}
    row |= {"op": "upsert", "event_version": 1, "status": "failed", "attempts": 3, "error_reason": "mapping"}
    row |= {"created_at": "2026-01-01Z", "updated_at": "2026-01-02Z", "replay_count": 0}
    sql.execute(INSERT, row | {"last_replayed_at": None, "error": error} | columns)
    return str(columns.get("id", row["id"]))


def fail_many(sql: psycopg.Connection, count: int, reason: str = "mapping") -> None:
    """So many failed events of one cause."""
    sql.execute(MANY, [reason, count])
