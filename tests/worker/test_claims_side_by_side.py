"""After a full claim lanes claim side by side; a reclaimed event still has the process to itself."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed, claim
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.worker import claims
from outboxctl.worker.claimer import Claimer
from outboxctl.worker.health import Health
from outboxctl.worker.lease import Batch
from outboxctl.worker.parts import WorkerParts

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


def in_threads(*calls: Callable[[], Any]) -> None:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


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

    def _claim(self, *args: Any, **kwargs: Any) -> list[Claimed]:
        if not self.sent.is_set():
            self.sent.set()
            assert self.let_go.wait(PATIENCE)
        return claim(*args, **kwargs)


def test_after_a_full_claim_the_next_ones_are_asked_for_side_by_side(
    claimer: Claimer, insert: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {insert() for _ in range(3 * SIZE)}
    first = batch_of(claimer)
    together, events = threading.Barrier(2), list[Claimed]()

    def in_step(*args: Any, **kwargs: Any) -> list[Claimed]:
        together.wait(PATIENCE)  # breaks where one waits for the other
        claimed = claim(*args, **kwargs)
        together.wait(PATIENCE)
        return claimed

    monkeypatch.setattr(claims, "claim", in_step)
    in_threads(*(lambda: events.extend(batch_of(claimer).events) for _ in range(2)))
    assert {e.id for e in [*first.events, *events]} == ids
    assert len(first.events) + len(events) == len(ids)


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


def test_what_was_not_reclaimed_is_never_taken_as_such(
    parts: WorkerParts, claimer: Claimer, insert: Callable[..., str]
) -> None:
    """Its lane would hold all the others up while it sends."""
    insert()
    parts.reclaimed.may_exist = True
    assert not batch_of(claimer).exclusive
