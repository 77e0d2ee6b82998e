"""Any order of writes, claims, late sends and crashes around a rebuild ends with both sides equal."""

import threading
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from claiming import claimed
from outboxctl.core.database import Database
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import Rebuild, RebuildPhase
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Verdict
from outboxctl.operations.rebuild import rounds, run
from outboxctl.operations.rebuild.model import Tools
from outboxctl.operations.rebuild.plan import plan
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.index.index_setup import ensure
from outboxctl.worker.lane.prepare import prepare
from rebuilding import documents, indexes, rows
from sinks import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outboxctl.core.delivery.claim import Claimed

pytestmark = pytest.mark.real_engine
ENTITIES = [uuid4() for _ in range(5)]
WRITE = """
INSERT INTO search_index AS s (id, entity_type, entity_id, text, event_version)
VALUES (gen_random_uuid(), 'block', %(id)s, %(version)s::text, %(version)s)
ON CONFLICT (entity_type, entity_id) DO UPDATE
    SET text = excluded.text, event_version = excluded.event_version
"""
EVENT = """
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
VALUES (gen_random_uuid(), 'block', %(id)s, %(op)s, %(version)s, 'pending')
"""
SETTLE = """
UPDATE search_outbox_events SET status = 'done', processed_at = now(), updated_at = now(), owner = NULL,
    lease_token = NULL, lease_until = NULL, processing_started_at = NULL
WHERE id = ANY (%s::uuid[])
"""


class World:
    """An application, a worker that may be held up between claim and send, and a rebuild that may die."""

    def __init__(self, db: Database, sql: psycopg.Connection, client: Elasticsearch) -> None:
        self.db, self.sql, self.client, self.sink = db, sql, client, client_of(client)
        self.alias = f"t-{uuid4().hex[:12]}"
        self.versions = count(1)
        self.claims: list[list[Claimed]] = []
        self.rest: Iterator[Any] = iter(())
        ensure(self.sink, self.alias)

    def write(self, entity: int) -> None:
        """A row and its event."""
        self._act(WRITE, ENTITIES[entity], "upsert")

    def delete(self, entity: int) -> None:
        """A row is gone, with an event of a higher version."""
        self._act("DELETE FROM search_index WHERE entity_id = %(id)s", ENTITIES[entity], "delete")

    def _act(self, statement: str, entity: UUID, op: str) -> None:
        given = {"id": entity, "op": op, "version": next(self.versions)}
        with self.sql.transaction():
            self.sql.execute(statement, given)
            self.sql.execute(EVENT, given)

    def claim(self, _: int) -> bool:
        """The worker reads a batch."""
        with self.db.begin() as connection:
            batch = claimed(connection, 2, lease=3600)
        self.claims += [batch] if batch else []
        return bool(batch)

    def send(self, which: int) -> None:
        """It sends one that it read, perhaps long ago."""
        if self.claims:
            batch = self.claims.pop(which % len(self.claims))
            found = ElasticSink(self.sink, self.alias).deliver(
                prepare(batch).actions, deadline=Deadline.within(30.0)
            )
            assert {finding and finding.verdict for finding in found.findings} <= {Verdict.DONE}
            self.sql.execute(SETTLE, [[event.id for event in batch]])

    def deliver(self, entity: int) -> None:
        """A change that reaches the index at once."""
        self.write(entity)
        while self.claim(0):
            self.send(-1)

    def rebuild(self) -> None:
        """Phase by phase, what else happens in between; twice each, as after a crash before the save."""
        row = self._begin()
        with self.db.begin() as held:
            tools = Tools(self.db, self.sink, held, threading.Event(), size=1, advance=lambda _: self._next())
            while row.phase != RebuildPhase.DONE:
                self._next()
                done = run.STEPS[RebuildPhase(row.phase)](tools, row)
                if self._next() == "crash" and row.phase != RebuildPhase.RECONCILE:
                    back = "UPDATE outbox_rebuilds SET phase = %s WHERE id = %s"
                    self.sql.execute(back, [row.phase, row.id])
                    done = run.STEPS[RebuildPhase(row.phase)](tools, self._row(row))
                row = done

    def _row(self, row: Rebuild) -> Rebuild:
        with self.db.begin() as connection:
            return rebuilds.one(connection, row.id)

    def _begin(self) -> Rebuild:
        with self.db.begin() as connection:
            p = plan(connection, self.sink, self.alias)
            return rebuilds.begin(
                connection,
                action="rebuild",
                alias=p.alias,
                old_index=p.old_index,
                new_index=p.new_index,
                concrete=False,
                body=p.body,
                phase=RebuildPhase.CREATE,
                operator="t",
                reason="t",
                grace_seconds=60,
            )

    def _next(self) -> str | None:
        act = next(self.rest, None)
        if act is None or act[0] == "crash":
            return act and act[0]
        getattr(self, act[0])(act[1])
        return None

    def clear(self) -> None:
        """Leave nothing behind."""
        for each in indexes(self.client, self.alias):
            self.client.indices.delete(index=each)
        for table in ("search_index", "search_outbox_events"):
            self.sql.execute(f"TRUNCATE {table}")


ACTS = st.tuples(st.sampled_from(["write", "delete", "claim", "send", "deliver", "crash"]), st.integers(0, 4))

# Read before the delete that the sink had before the rebuild, sent after it.
LATE_WRITE = [("write", 0), ("claim", 0), ("delete", 0), ("claim", 0), ("send", 1)]


@pytest.mark.slow(reason="performs random sequences of steps")
def test_nothing_is_lost_and_nothing_comes_back(
    db: Database, sql: psycopg.Connection, engine: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Transactions here commit at once, and the comparison would hide what following the events misses.
    monkeypatch.setattr(rounds, "OVERLAP", timedelta(0))
    monkeypatch.setattr(run, "heal", lambda *_: 0)

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @example(LATE_WRITE, [])
    @example([("write", 0)], [("deliver", entity) for entity in range(5)] * 3)
    @given(st.lists(ACTS, max_size=8), st.lists(ACTS, min_size=8, max_size=24))
    def check(before: list[Any], during: list[Any]) -> None:
        world = World(db, sql, engine)
        try:
            for name, which in before:
                if name != "crash":
                    getattr(world, name)(which)
            world.rest = iter(during)
            world.rebuild()
            while world.claims or world.claim(0):
                world.send(0)
            assert documents(engine, world.alias) == rows(sql)
        finally:
            world.clear()

    check()
