"""After a full claim lanes claim side by side; a reclaimed event still has the process to itself."""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Taken, claim
from outboxctl.domain.failures import Classification, OutageScope, Reason, Verdict
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.claiming import claims
from outboxctl.worker.claiming.claimer import Claimer
from outboxctl.worker.claiming.leases import Batch, Lease
from outboxctl.worker.wiring import WorkerParts
from worker_parts import make_parts

SIZE = 2
PATIENCE = 20.0
CHANCE = 0.3  # seconds in which a lane that does not wait has long been through
INSERT = """INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, error_reason)
VALUES ('block', gen_random_uuid(), 'upsert', 1, %s) RETURNING id"""


@pytest.fixture
def insert(sql: psycopg.Connection) -> Callable[..., str]:
    def insert(reason: str | None = None) -> str:
        row = sql.execute(INSERT, [reason]).fetchone()
        assert row
        return str(row[0])

    return insert


@pytest.fixture
def parts(db: Database) -> WorkerParts:
    return make_parts(db, bulk_size=SIZE, concurrency=3)


@pytest.fixture
def claimer(parts: WorkerParts) -> Claimer:
    return parts.claimer


def batch_of(claimer: Claimer) -> Batch:
    """A batch that is there at once."""
    batch = claimer.claim(drain=True)
    assert batch
    return batch


class HeldClaim:
    """The next claim waits, after it was sent, until it is let go; later ones do not wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent, self.let_go = threading.Event(), threading.Event()
        monkeypatch.setattr(claims, "claim", self._claim)

    def _claim(self, *args: Any, **kwargs: Any) -> Taken:
        if not self.sent.is_set():
            self.sent.set()
            assert self.let_go.wait(PATIENCE)
        return claim(*args, **kwargs)


def test_a_reclaimed_event_waits_for_a_claim_that_is_under_way(
    parts: WorkerParts, claimer: Claimer, insert: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may kill the process: what another lane is about to get would lose its attempt with it."""
    for _ in range(2 * SIZE):
        insert()
    first, held = batch_of(claimer), HeldClaim(monkeypatch)
    batches, alone = list[Batch](), list[Batch]()
    second = threading.Thread(target=lambda: batches.append(batch_of(claimer)), daemon=True)
    second.start()
    assert held.sent.wait(PATIENCE)
    insert("lease_expired")
    parts.reclaimed.expect()
    parts.context.in_flight.remove(first.lease.token)  # settled
    looking = threading.Thread(target=lambda: alone.append(batch_of(claimer)), daemon=True)
    looking.start()
    looking.join(CHANCE)
    held.let_go.set()
    second.join(PATIENCE)
    looking.join(CHANCE)
    (batch,) = batches
    assert not alone
    parts.context.in_flight.remove(batch.lease.token)
    looking.join(PATIENCE)
    assert alone[0].exclusive


def test_nothing_is_claimed_beside_a_reclaimed_event(
    parts: WorkerParts, claimer: Claimer, insert: Callable[..., str]
) -> None:
    """Whoever delivers it holds no lock meanwhile, and the other lanes wait all the same."""
    insert("lease_expired")
    parts.reclaimed.expect()
    alone = batch_of(claimer)
    insert()
    batches = list[Batch]()
    other = threading.Thread(target=lambda: batches.append(batch_of(claimer)), daemon=True)
    other.start()
    other.join(CHANCE)
    assert alone.exclusive
    assert not batches
    parts.context.in_flight.remove(alone.lease.token)  # settled
    other.join(PATIENCE)
    assert not batches[0].exclusive


MISSING = Classification(Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, error="no index", scope=OutageScope.INDEX)
DEAD = Classification(Verdict.OUTAGE, Reason.CONNECT, error="connect: refused")
OF_ITEM = """INSERT INTO search_outbox_events (entity_type, entity_id, entity_key, op, event_version)
VALUES ('item', gen_random_uuid(), '1', 'upsert', 1)"""


def test_a_closed_index_is_probed_in_time_however_rarely_the_table_is_polled(
    db: Database, sql: psycopg.Connection
) -> None:
    """Also while the sink is away: events that were left out are no sign that it is there."""
    parts = make_parts(db, poll_interval_seconds=30, outage_policy="hold")
    sql.execute(OF_ITEM)
    parts.flow.judged("item", [MISSING])
    parts.flow.learn("", [BulkAction("block:1", 1, None)], Delivery([DEAD], []), sent_at=monotonic())
    began, batch = monotonic(), parts.claimer.claim(drain=False)
    assert batch
    assert batch.name == "item"
    assert 0.5 < monotonic() - began < 10
    assert parts.flow.away


def test_a_drain_waits_for_the_end_of_a_batch_where_a_slow_projection_has_its_share(
    db: Database, sql: psycopg.Connection
) -> None:
    parts = make_parts(db, concurrency=2)
    sql.execute(OF_ITEM)
    parts.flow.ended("item", 1, monotonic() - 5)
    parts.flow.claimed("")  # else it would have all lanes
    lease = Lease("token", 60, 1, requested_at=monotonic(), name="item")
    parts.context.in_flight.add(lease)
    batches = list[Batch | None]()
    lane = threading.Thread(target=lambda: batches.append(parts.claimer.claim(drain=True)), daemon=True)
    lane.start()
    lane.join(1.5)
    assert not batches
    parts.context.in_flight.remove(lease.token)
    lane.join(PATIENCE)
    assert batches
    assert batches[0]
