"""What the engineer on call finds: a bad release sent text where a number is expected, and a sink was away."""

import uuid

import psycopg

NAMES = uuid.UUID("0a0a0a0a-0000-4000-8000-000000000000")
FIND = "SELECT id::text FROM search_outbox_events WHERE status = 'failed' AND error_reason = %s ORDER BY id LIMIT 1"
ENTITY = (
    "INSERT INTO search_index (id, entity_type, entity_id, text, snippet, rank_score, event_version) VALUES"
)
EVENT = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts, error_reason,
    error, created_at, updated_at, processed_at)
VALUES (%(id)s, %(type)s, %(entity)s, 'upsert', 1, %(status)s::text, %(attempts)s, %(reason)s, %(error)s,
    date_trunc('second', now()) - %(ago)s::interval, date_trunc('second', now()) - %(ago)s::interval,
    CASE %(status)s::text WHEN 'done' THEN now() END)
"""
MAPPING = (
    "document_parsing_exception: [1:84] failed to parse field [rank_score] of type [double] in document"
    " with id 'page:{entity}'. Preview of field's value: 'high'"
)
CONNECT = "ConnectionError: connection to 10.4.0.7:9200 refused after {number} ms"
BAD_OP = "Unknown outbox op: 'not-a-real-op'"


def set_up(sql: psycopg.Connection) -> None:
    """Fill a migrated database: the same ids and texts each time, times as far back as each time."""
    for number in range(60):
        _event(sql, number, "done", "block", "3 hours 5 minutes 20 seconds")
    for number in range(60, 84):
        _event(sql, number, "failed", "page", "2 hours 5 minutes 20 seconds", "mapping", MAPPING)
    for number in range(84, 96):
        _event(sql, number, "failed", "block", "1 hour 5 minutes 20 seconds", "connect", CONNECT)
    for number in range(96, 98):
        _event(
            sql, number, "failed", "block", "1 hour 2 minutes 20 seconds", "deterministic_exception", BAD_OP
        )


def _event(
    sql: psycopg.Connection,
    number: int,
    status: str,
    kind: str,
    ago: str,
    reason: str | None = None,
    error: str | None = None,
) -> None:
    entity = uuid.uuid5(NAMES, f"entity {number}")
    source = (uuid.uuid5(NAMES, f"row {number}"), kind, entity, f"text {number}", "text", 1.0, 1)
    sql.execute(f"{ENTITY} (%s, %s, %s, %s, %s, %s, %s)", source)
    sql.execute(
        EVENT,
        {
            "id": uuid.uuid5(NAMES, f"event {number}"),
            "type": kind,
            "entity": entity,
            "status": status,
            "attempts": 10 if reason == "connect" else 1,
            "reason": reason,
            "error": error and error.format(entity=entity, number=number),
            "ago": ago,
        },
    )
