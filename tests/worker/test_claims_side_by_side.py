"""After a full claim lanes claim side by side; a reclaimed event still has the process to itself."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Taken, claim
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.worker.claiming import claims
from outboxctl.worker.claiming.claimer import Claimer
from outboxctl.worker.claiming.leases import Batch
from outboxctl.worker.health import Health
from outboxctl.worker.wiring import WorkerParts

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
    settings = load(bulk_size=SIZE, concurrency=3)
    return WorkerParts(settings, db, None, Metrics(), Health(300))  # type: ignore[arg-type]


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
    parts.reclaimed.may_exist = True
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
    parts.reclaimed.may_exist = True
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
