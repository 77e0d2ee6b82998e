"""What the engineer on call finds: a release that wrote words where numbers belong, a sink that was away."""

import uuid
from collections.abc import Callable
from itertools import count

import psycopg

NAMES = uuid.UUID("0a0a0a0a-0000-4000-8000-000000000000")
SOURCE = """
INSERT INTO search_index (id, entity_type, entity_id, text, snippet, rank_score, event_version,
    created_at, updated_at)
VALUES (%s, %s, %s, %s, 'text', 1, 1, date_trunc('second', now()), date_trunc('second', now()))
"""
EVENT = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts,
    error_reason, error, created_at, updated_at)
SELECT %s, %s, %s, %s, 1, %s, %s, %s, %s, at, at
FROM (SELECT date_trunc('second', now()) - make_interval(hours => %s, mins => 5, secs => 5) AS at) AS moment
"""
MAPPING = (
    "document_parsing_exception: [1:{number}] failed to parse field [rank_score] of type [double] in"
    " document with id 'page:{entity}'. Preview of field's value: 'high'"
)
CONNECT = "connection to 10.4.0.7:9200 refused after {number} ms"


def set_up(sql: psycopg.Connection, deliver: Callable[[], object]) -> None:
    """Fill a migrated database: the same ids and texts each time, times as far back as each time."""
    numbers = count(100)
    for _ in range(40):
        put(sql, next(numbers), "block", 3)
    deliver()
    with sql.transaction():  # one time for all, on a slow machine too
        for _ in range(24):
            put(sql, next(numbers), "page", 2, failed="mapping", error=MAPPING)
        for _ in range(5):
            put(sql, next(numbers), "block", 1, failed="connect", error=CONNECT, attempts=10)
    unknown = "ValueError: Unknown outbox op: 'not-a-real-op'"  # a worker's own words
    put(sql, next(numbers), "block", 1, op="not-a-real-op", failed="deterministic_exception", error=unknown)


def name(what: str, number: int) -> uuid.UUID:
    """The id of something of the stage."""
    return uuid.uuid5(NAMES, f"{what} {number}")


def put(
    sql: psycopg.Connection,
    number: int,
    kind: str,
    hours: int,
    *,
    op: str = "upsert",
    failed: str | None = None,
    error: str = "",
    attempts: int = 1,
) -> None:
    """One event of some hours ago: pending, or failed for a reason. A good op has its source row."""
    entity = name("entity", number)
    if op == "upsert":
        sql.execute(SOURCE, [name("row", number), kind, entity, f"text {number}"])
    status = "failed" if failed else "pending"
    said = error.format(entity=entity, number=number) if failed else None
    sql.execute(
        EVENT,
        [name("event", number), kind, entity, op, status, attempts if failed else 0, failed, said, hours],
    )
