"""A slow delivery keeps its events, but not for ever; a dead worker's come back, while attempts are left."""

from uuid import uuid4

import psycopg
import pytest

from claiming import claimed
from moments import Insert, at, when
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed, claim
from outboxctl.core.delivery.leases import Reclaimed, Renewed, reclaim, renew


def run(db: Database, seconds: float, max_attempts: int = 3) -> Reclaimed:
    with when(db, seconds) as connection:
        return reclaim(connection, max_processing=600, max_attempts=max_attempts)


@pytest.mark.parametrize(
    ("lease", "started", "seconds", "total"),
    [
        (10, 0, 9, 0),
        (10, 0, 11, 1),
        (10_000, 0, 599, 0),
        (10_000, 0, 601, 1),
        (None, 0, 599, 0),
        (None, 0, 601, 1),
        (None, None, 0, 1),
    ],
)
def test_when_an_event_is_stuck(
    db: Database, insert: Insert, lease: int | None, started: int | None, seconds: int, total: int
) -> None:
    insert(
        status="processing",
        attempts=1,
        lease_until=None if lease is None else at(lease),
        processing_started_at=None if started is None else at(started),
    )
    assert run(db, seconds).total == total


def test_spent_attempts_end_in_failed(db: Database, insert: Insert, sql: psycopg.Connection) -> None:
    for attempts in (1, 2, 3, 4):
        insert(status="processing", attempts=attempts, lease_until=at(10), processing_started_at=at(0))
    found = run(db, 11)
    assert (found.total, found.failed_ops) == (4, ["upsert", "upsert"])
    rows = sql.execute("SELECT DISTINCT status, error_reason, next_retry_at, owner FROM search_outbox_events")
    assert sorted(rows.fetchall()) == [
        ("failed", "lease_expired", None, None),
        ("pending", "lease_expired", None, None),
    ]


TOKEN = str(uuid4())


def renewed(db: Database, seconds: float) -> Renewed:
    with when(db, seconds) as connection:
        return renew(connection, TOKEN, lease=10, max_processing=600)


@pytest.fixture
def held(db: Database, insert: Insert) -> None:
    """Two events of one claim, at the second 0."""
    insert(), insert()
    with when(db, 0) as connection:
        claim(connection, owner="w", token=TOKEN, size=10, lease=10)


@pytest.mark.usefixtures("held")
def test_a_renewed_claim_is_kept_up_to_the_longest_processing_time(db: Database) -> None:
    assert renewed(db, 8) is Renewed.RENEWED
    assert run(db, 17).total == 0
    assert renewed(db, 599) is Renewed.RENEWED
    assert renewed(db, 600) is Renewed.LOST
    assert run(db, 601).total == 2


@pytest.mark.usefixtures("held")
def test_a_claim_whose_events_are_all_locked_is_not_lost(db: Database, sql: psycopg.Connection) -> None:
    with sql.transaction():
        sql.execute("SELECT FROM search_outbox_events FOR UPDATE")
        with db.begin() as connection:
            assert renew(connection, TOKEN, lease=10, max_processing=1e9) is Renewed.LOCKED
    assert renewed(db, 9) is Renewed.RENEWED


MAX_ATTEMPTS = 10


class Outbox:
    """A few events, and workers that claim them and die; a claim is a second, its lease is over after it."""

    def __init__(self, db: Database, insert: Insert) -> None:
        self._db, self.ids, self.seconds = db, [insert() for _ in range(4)], 0

    def claim(self) -> list[Claimed]:
        """The events of one claim of any size."""
        self.seconds += 1
        with when(self._db, self.seconds) as connection:
            return claimed(connection, 100, lease=0.5)

    def die(self) -> list[int]:
        """Claim and be reclaimed: the attempts of what was claimed."""
        events = self.claim()
        self.reclaim()
        return sorted(event.attempts for event in events)

    def reclaim(self) -> None:
        """The last lease is over."""
        self.seconds += 1
        assert run(self._db, self.seconds, MAX_ATTEMPTS).failed_ops == []


@pytest.fixture
def outbox(db: Database, insert: Insert) -> Outbox:
    return Outbox(db, insert)


def test_reclaimed_events_go_together_once_and_then_each_alone(outbox: Outbox) -> None:
    assert outbox.die() == [1, 1, 1, 1]
    assert outbox.die() == [2, 2, 2, 2], "together, apart from all others"
    alone = [outbox.die() for _ in range(3)]  # of events of one age the order is any
    assert alone[0] == [2], "the attempt among others is back"
    assert [len(each) for each in alone] == [1, 1, 1]
    assert len(outbox.claim()) == 1


def test_an_event_is_alone_until_its_attempts_are_spent(
    outbox: Outbox, db: Database, sql: psycopg.Connection
) -> None:
    sql.execute("DELETE FROM search_outbox_events WHERE id <> %s", [outbox.ids[0]])
    assert [outbox.die() for _ in range(MAX_ATTEMPTS)] == [[1], [2], *([n] for n in range(2, MAX_ATTEMPTS))]
    outbox.claim()
    assert run(db, outbox.seconds + 1, MAX_ATTEMPTS).failed_ops == ["upsert"]
    row = sql.execute("SELECT status, error_reason, attempts, next_retry_at FROM search_outbox_events")
    assert row.fetchone() == ("failed", "lease_expired", MAX_ATTEMPTS, None)


def test_the_last_attempt_is_not_lost_among_others(
    outbox: Outbox, db: Database, sql: psycopg.Connection
) -> None:
    """It was reclaimed with attempts to spare; then the limit was lowered, and its neighbour kills."""
    outbox.die()
    outbox.claim()
    assert run(db, outbox.seconds + 1, max_attempts=2).failed_ops == []
    assert sql.execute("SELECT DISTINCT status, attempts FROM search_outbox_events").fetchall() == [
        ("pending", 1)
    ]


@pytest.mark.parametrize(("attempts", "together"), [(MAX_ATTEMPTS - 3, 4), (MAX_ATTEMPTS - 2, 1)])
def test_with_few_attempts_left_an_event_goes_alone_at_once(
    outbox: Outbox, sql: psycopg.Connection, attempts: int, together: int
) -> None:
    sql.execute("UPDATE search_outbox_events SET attempts = %s", [attempts - 1])
    assert outbox.die() == [attempts] * 4
    assert len(outbox.claim()) == together
