"""Where there is plenty lanes claim beside each other; who wants the process alone still has it alone."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed, claim
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.worker import intake as module
from outboxctl.worker import reclaimed_turns
from outboxctl.worker.health import Health
from outboxctl.worker.intake import Batch, Intake
from outboxctl.worker.lease import Lease
from outboxctl.worker.shared import Shared

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
def shared(db: Database) -> Shared:
    return Shared(load(bulk_size=SIZE, concurrency=3), db, None, Metrics(), Health(300))  # type: ignore[arg-type]


@pytest.fixture
def lanes(shared: Shared) -> list[Intake]:
    return [Intake(shared, drain=True) for _ in range(3)]


def in_threads(*calls: Callable[[], Any]) -> None:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_after_a_full_claim_the_next_ones_are_asked_for_side_by_side(
    lanes: list[Intake], insert: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {insert() for _ in range(3 * SIZE)}
    first = lanes[0].next()
    promised = [lane.next() for lane in lanes[1:]]
    assert isinstance(first, Batch)
    together, found = threading.Barrier(2), list[Claimed]()

    def in_step(*args: Any, **kwargs: Any) -> list[Claimed]:
        together.wait(PATIENCE)  # breaks where one waits for the other
        events = claim(*args, **kwargs)
        together.wait(PATIENCE)
        return events

    def redeem(lane: Intake, lease: Batch | Lease | None) -> None:
        assert isinstance(lease, Lease)
        batch = lane.redeem(lease)
        found.extend(batch.events if batch else [])

    monkeypatch.setattr(module, "claim", in_step)
    in_threads(*(lambda n=n: redeem(lanes[n + 1], promised[n]) for n in range(2)))
    assert {e.id for e in [*first.events, *found]} == ids
    assert len(first.events) + len(found) == len(ids)


def test_what_is_promised_counts_as_in_flight_until_it_turns_out_empty(
    shared: Shared, lanes: list[Intake], insert: Callable[..., str]
) -> None:
    """An overloaded sink is given no more than it can take, also by claims that are only asked for."""
    for _ in range(SIZE):
        insert()
    assert isinstance(lanes[0].next(), Batch)
    promised = lanes[1].next()
    assert isinstance(promised, Lease)
    assert shared.in_flight() == 2 * SIZE
    assert lanes[1].redeem(promised) is None
    assert shared.in_flight() == SIZE
    shared.claims.clear()  # all settled
    assert lanes[2].next() is None  # looks again behind the turnstile, and a drain has come to its end


def test_a_reclaimed_event_waits_for_a_claim_that_is_under_way(
    shared: Shared, lanes: list[Intake], insert: Callable[..., str]
) -> None:
    """It may kill the process: what another lane is about to get would lose its attempt with it."""
    for _ in range(2 * SIZE):
        insert()
    first, promised = lanes[0].next(), lanes[1].next()
    assert isinstance(first, Batch)
    assert isinstance(promised, Lease)
    insert("lease_expired")
    shared.quarantine.occupied = True
    del shared.claims[first.lease.token]  # settled
    alone = list[Batch | Lease | None]()
    looking = threading.Thread(target=lambda: alone.append(lanes[2].next()), daemon=True)
    looking.start()
    looking.join(CHANCE)
    batch = lanes[1].redeem(promised)
    assert batch
    assert not alone
    del shared.claims[batch.lease.token]
    looking.join(PATIENCE)
    assert isinstance(alone[0], Batch)
    assert alone[0].alone


def test_nothing_is_promised_while_reclaimed_events_may_be_there(
    shared: Shared, lanes: list[Intake], insert: Callable[..., str]
) -> None:
    for _ in range(2 * SIZE):
        insert()
    assert isinstance(lanes[0].next(), Batch)
    shared.quarantine.occupied = True
    shared.claims.clear()
    assert isinstance(lanes[1].next(), Batch)


def test_what_was_not_reclaimed_is_never_taken_as_such(
    shared: Shared, lanes: list[Intake], insert: Callable[..., str]
) -> None:
    """Its lane would hold all the others up while it sends."""
    insert()
    shared.quarantine.occupied = True
    batch = lanes[0].next()
    assert isinstance(batch, Batch)
    assert not batch.alone


def test_a_batch_of_reclaimed_events_is_no_larger_than_any_other(
    shared: Shared, lanes: list[Intake], insert: Callable[..., str], sql: psycopg.Connection
) -> None:
    """What the sink and its throttle allow holds for them, too."""
    for _ in range(SIZE + 1):
        insert("lease_expired")
    sql.execute("UPDATE search_outbox_events SET next_retry_at = now()")
    shared.quarantine.occupied = True
    batch = lanes[0].next()
    assert isinstance(batch, Batch)
    assert (len(batch.events), batch.alone) == (SIZE, True)


def test_a_probe_that_comes_at_the_end_of_the_reclaimed_events_turn_is_not_the_last(
    shared: Shared, insert: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sink is away, and the only event is a reclaimed one: it was tried for longer than its turn."""
    id_ = insert("lease_expired")
    monkeypatch.setattr(reclaimed_turns, "TURN", 0.0)
    shared.breaker.failed()
    shared.quarantine.occupied = True
    assert shared.quarantine.enter()
    found = list[Batch | Lease | None]()
    looking = threading.Thread(target=lambda: found.append(Intake(shared, drain=False).next()), daemon=True)
    looking.start()
    looking.join(PATIENCE)
    shared.stop()
    assert [e.id for batch in found if isinstance(batch, Batch) for e in batch.events] == [id_]
