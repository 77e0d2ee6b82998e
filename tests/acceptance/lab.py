"""What the lab document says word for word, and the few rows that the tests put in by hand."""

import re
import uuid
from pathlib import Path
from typing import Any

import psycopg
from elasticsearch import Elasticsearch
from psycopg.rows import dict_row

from scene import LOAD

DOCUMENT = Path(__file__).with_name("labs-004.md").read_text()


def blocks(section: str) -> list[str]:
    """The code blocks of a section of the document, `1.4` say, word for word."""
    text = re.split(rf"^#+ {re.escape(section)}(?=[) ])", DOCUMENT, flags=re.MULTILINE)[1]
    return re.findall(r"^```\w+\n(.*?)^```$", re.split(r"^#+ ", text, flags=re.MULTILINE)[0], re.M | re.S)


(CURL,) = blocks("2.1")
STATUS_SQL, STUCK_SQL, OLDEST_SQL = blocks("2.2")[0].split("\n\n")
(BAD_OP_SQL,) = blocks("6.2")
METRICS = (
    "outbox_lag_events",
    "outbox_oldest_age_seconds",
    "outbox_inflight_events",
    "outbox_processed_total",
    "outbox_failed_total",
    "outbox_stuck_processing_events",
    "outbox_retry_scheduled_total",
    "outbox_terminal_failed_total",
)
STATES = {"pending", "processing", "done", "failed"}
Sql = psycopg.Connection[Any]


def one(sql: Sql, query: str, *args: Any) -> Any:
    """The single value of a query."""
    row = sql.execute(query, args).fetchone()
    assert row is not None, query
    return row[0]


def rows(sql: Sql, query: str = "SELECT * FROM search_outbox_events ORDER BY id", *args: Any) -> list[Any]:
    """All rows as dictionaries; the whole outbox by default."""
    with sql.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, args).fetchall()


def event_row(sql: Sql, event: uuid.UUID) -> Any:
    """One outbox row."""
    return rows(sql, "SELECT * FROM search_outbox_events WHERE id = %s", event)[0]


def state(sql: Sql) -> Any:
    """Every row version of the tables that a command may change: the same values written again, a lock."""
    tables = ["search_outbox_events", "search_index"]
    tables += ["outbox_operator_audit", "outbox_rebuilds", "outbox_environment"]
    query = "SELECT ctid::text, xmin::text, xmax::text, t::text FROM {} t ORDER BY 1"
    return [sql.execute(query.format(table)).fetchall() for table in tables]


def by_status(sql: Sql) -> dict[str, int]:
    """How many rows of each status."""
    return dict(sql.execute("SELECT status, count(*) FROM search_outbox_events GROUP BY 1").fetchall())


def source(
    sql: Sql, entity: uuid.UUID, version: int | None = 1, *, kind: str = "block", **columns: Any
) -> None:
    """Write or overwrite a row of `search_index`."""
    values = {"text": "plain text", "snippet": "plain", "rank_score": 1.0} | columns
    names = ", ".join(values)
    updates = ", ".join(f"{name} = excluded.{name}" for name in ["event_version", *values])
    sql.execute(
        f"INSERT INTO search_index (id, entity_type, entity_id, event_version, {names}, "
        "created_at, updated_at) "
        f"VALUES (gen_random_uuid(), %s, %s, %s{', %s' * len(values)}, now(), now()) "
        f"ON CONFLICT (entity_type, entity_id) DO UPDATE SET {updates}",
        [kind, entity, version, *values.values()],
    )


def event(
    sql: Sql,
    entity: uuid.UUID,
    version: int = 1,
    *,
    op: str = "upsert",
    kind: str = "block",
    created: str = "now",
    status: str = "pending",
) -> uuid.UUID:
    """Insert one event the way the lab document does; returns its id."""
    event_id = uuid.uuid4()
    sql.execute(
        "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts, "
        "replay_count, created_at, updated_at) VALUES (%s, %s, %s, %s, %s, %s, 0, 0, %s::timestamptz, now())",
        [event_id, kind, entity, op, version, status, created],
    )
    return event_id


def put(sql: Sql, **columns: Any) -> tuple[uuid.UUID, uuid.UUID]:
    """A new source row and its event: the ids of the entity and of the event."""
    entity = uuid.uuid4()
    kind = columns.pop("kind", "block")
    source(sql, entity, kind=kind, **columns)
    return entity, event(sql, entity, kind=kind)


def load(sql: Sql, count: int) -> None:
    """Many source rows and their events, in one transaction."""
    sql.execute(LOAD, [count])


def document(engine: Elasticsearch, index: str, entity: uuid.UUID, kind: str = "block") -> Any:
    """The document of an entity as it stands in the index, or None."""
    answer = engine.options(ignore_status=404).get(index=index, id=f"{kind}:{entity}")
    return answer["_source"] if answer.get("found") else None


def assert_nothing_lost(sql: Sql, engine: Elasticsearch, index: str, *, count: int) -> None:
    """The invariants of failures.md, for events that are one an entity."""
    assert one(sql, "SELECT count(*) FROM search_outbox_events") == count
    assert_clean(sql)
    done = sql.execute(
        "SELECT o.entity_type || ':' || o.entity_id, s.event_version FROM search_outbox_events o "
        "JOIN search_index s USING (entity_type, entity_id) WHERE o.status = 'done'"
    ).fetchall()
    for start in range(0, len(done), 2000):
        part = dict(done[start : start + 2000])
        answer = engine.mget(index=index, ids=list(part), source=False)
        held = {doc["_id"]: doc.get("_version", -1) for doc in answer["docs"]}
        assert [key for key, version in part.items() if held[key] < version] == []


def assert_clean(sql: Sql) -> None:
    """Invariant 3: who is not processing has no owner, no lease, no processing start."""
    dirty = (
        "SELECT count(*) FROM search_outbox_events WHERE status <> 'processing' AND "
        "(owner IS NOT NULL OR lease_until IS NOT NULL OR processing_started_at IS NOT NULL)"
    )
    assert one(sql, dirty) == 0
    assert (
        one(
            sql,
            "SELECT count(*) FROM search_outbox_events WHERE (status = 'done') <> (processed_at IS NOT NULL)",
        )
        == 0
    )
