"""A worker's surroundings in a test: fill them, look at them, and say what must hold in the end."""

import json
from dataclasses import dataclass
from uuid import uuid4

import psycopg
from elasticsearch import Elasticsearch

from invariants import check_invariants
from processes import Worker, eventually

Rows = list[tuple[object, ...]]
READY, NOT_READY = 200, 503
LOAD = """
WITH written AS (
    INSERT INTO search_index (id, entity_type, entity_id, text, snippet, event_version)
    SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'text ' || n, 'text', 1
    FROM generate_series(1, %s) n
    RETURNING entity_type, entity_id, event_version
)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), entity_type, entity_id, 'upsert', event_version, 'pending' FROM written
"""


def event(sql: psycopg.Connection, **columns: object) -> str:
    """Insert one event with these columns; returns its id."""
    row = {"id": str(uuid4()), "entity_type": "block", "entity_id": str(uuid4()), "op": "upsert"} | columns
    names, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    sql.execute(f"INSERT INTO search_outbox_events ({names}) VALUES ({marks})", row)
    return str(row["id"])


@dataclass(frozen=True)
class Scene:
    """A database (`sql` is a person's way into it) and an index."""

    sql: psycopg.Connection
    engine: Elasticsearch
    index: str

    def load(self, total: int) -> None:
        """Put so many events in at once, each with its source row: what an application would have done."""
        self.sql.execute(LOAD, [total])

    def rows(self, columns: str) -> Rows:
        """The different values of these columns over all events."""
        return self.sql.execute(f"SELECT DISTINCT {columns} FROM search_outbox_events ORDER BY 1").fetchall()

    def count(self, status: str) -> int:
        """How many events have this status."""
        query = "SELECT FROM search_outbox_events WHERE status = %s"
        return len(self.sql.execute(query, [status]).fetchall())

    def sent(self) -> int:
        """How many documents the sink was asked to write, by its own count."""
        stats = self.engine.indices.stats(index=self.index, metric="indexing")
        return int(stats["_all"]["primaries"]["indexing"]["index_total"])

    def pass_leases(self) -> None:
        """Let the time of every lease be over."""
        self.sql.execute("UPDATE search_outbox_events SET lease_until = now() WHERE status = 'processing'")

    def holds(self, total: int) -> None:
        """Everything ends in done, and what must hold after anything does."""
        eventually(lambda: self.count("done") == total, what="all done")
        check_invariants(self.sql, self.engine, self.index, rows=total)

    def finished_by(self, only: Worker, total: int, *, leases_may_end: bool = False) -> None:
        """Also: the only worker is well, and counted each event once and none as lost."""
        self.holds(total)
        eventually(lambda: only.metric("outbox_inflight_events") == 0, what="settled")
        # What waited for a row lock is counted once its COMMIT has been answered, and is not in flight.
        eventually(lambda: only.metric("outbox_processed_total") >= total, what="counted")
        assert only.metric("outbox_processed_total") == total
        assert leases_may_end or only.metric("outbox_lease_lost_total") == 0
        eventually(lambda: ready(only), what="ready")


def ready(running: Worker) -> bool:
    """Whether it says that it can work."""
    return running.get("/readyz")[0] == READY


def blames(running: Worker, condition: str, text: str = "") -> bool:
    """Whether it is not ready because of this condition, with this text; alive it must be all the same."""
    status, body = running.get("/readyz")
    assert running.get("/healthz")[0] == READY
    failing = json.loads(body)["failing"] if status == NOT_READY else {}
    return condition in failing and text in failing[condition]
