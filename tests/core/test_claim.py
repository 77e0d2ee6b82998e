"""What is claimed, in which order, with which document (by which plan: test_plans)."""

from uuid import uuid4

import psycopg

import claiming
from moments import Insert, at, when
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed, Taken, claim
from outboxctl.core.stats import snapshot


def claimed(db: Database, size: int = 100, seconds: float = 0, *, reclaimed: int = 100) -> list[Claimed]:
    with when(db, seconds) as connection:
        return claiming.claimed(connection, size, lease=10, reclaimed=reclaimed)


def taken(db: Database, after: str, *closed: str, only: str | None = None, size: int = 9) -> Taken:
    given = {"owner": "w", "token": str(uuid4()), "lease": 10, "sizes": {"few": 1}}
    with when(db, 0) as connection:
        return claim(connection, **given, size=size, after=after, closed=closed, only=only)  # type: ignore[arg-type]


def test_projections_are_served_in_turn_and_no_claim_has_events_of_two(db: Database, insert: Insert) -> None:
    for name, key in (("doc", None), ("few", "1"), ("few", "2"), ("many", "1"), ("many", "1"), ("rest", "1")):
        insert(entity_type=name, entity_key=key)
    insert(entity_type="later", entity_key="1", next_retry_at=at(60))
    seen = [taken(db, "few"), taken(db, "many", "rest"), taken(db, ""), taken(db, "few", only="few")]
    found = [(each.name, len(each.events), each.others) for each in seen]
    assert found == [("many", 2, True), ("", 1, True), ("few", 1, True), ("few", 1, False)]
    assert [event.document_id for event in seen[0].events] == ["1", "1"]
    assert taken(db, "rest").name == "rest", "around, to where it began"
    assert taken(db, "") == (None, [], False)


def test_events_that_others_have_locked_are_left_to_them_and_their_projection_is_named(
    db: Database, insert: Insert, sql: psycopg.Connection
) -> None:
    insert(entity_type="locked", entity_key="1"), insert(entity_type="other", entity_key="1")
    with sql.transaction():
        sql.execute("SELECT FROM search_outbox_events WHERE entity_type = 'locked' FOR UPDATE")
        assert taken(db, "") == ("locked", [], True)
        assert len(taken(db, "locked").events) == 1


def test_due_retries_first_then_the_oldest_and_nothing_that_waits(db: Database, insert: Insert) -> None:
    young, old = insert(created_at=at(-1)), insert(created_at=at(-9))
    due = insert(created_at=at(-5), next_retry_at=at(-1), attempts=1)
    waiting = insert(created_at=at(-50), next_retry_at=at(60), attempts=1)
    assert {e.id for e in claimed(db, 2)} == {due, old}
    assert {e.id for e in claimed(db)} == {young}
    assert {e.id for e in claimed(db, seconds=61)} == {waiting}


def test_retries_leave_half_of_a_claim_to_fresh_events_that_are_due(db: Database, insert: Insert) -> None:
    """Under hold ten thousands of events of one shard come back again and again: others must be delivered."""
    retries = {insert(created_at=at(-9), next_retry_at=at(-1), attempts=1) for _ in range(20)}
    fresh = [insert(created_at=at(n)) for n in range(-3, 0)]
    assert {e.id for e in claimed(db, 4)} - retries == {*fresh[:2]}, "half of a claim"
    assert {e.id for e in claimed(db, 6)} - retries == {fresh[2]}, "retries take what fresh events leave"
    assert len({e.id for e in claimed(db, 50)}) == 20 - 2 - 5


def test_those_that_were_reclaimed_once_go_together_and_with_nobody_else(
    db: Database, insert: Insert
) -> None:
    """A killed worker held thousands: one by one they would take half a minute."""
    others = {insert(created_at=at(-9)), insert(created_at=at(-9), next_retry_at=at(-1))}
    again = insert(created_at=at(-99), error_reason="lease_expired")
    once = [
        insert(created_at=at(n), error_reason="lease_expired", next_retry_at=at(n - 5)) for n in range(-2, 5)
    ]
    batches = [{e.id for e in claimed(db, seconds=-1, reclaimed=n)} for n in (3, 100, 100, 100, 100)]
    assert batches == [set(once[:3]), set(once[3:]), {again}, others, set()]


def test_of_a_slow_projection_few_reclaimed_events_are_claimed_at_once(db: Database, insert: Insert) -> None:
    for key in "12345":
        insert(entity_type="slow", entity_key=key, error_reason="lease_expired", next_retry_at=at(-1))
    given = {"owner": "w", "token": str(uuid4()), "lease": 10, "reclaimed": True}
    with when(db, 0) as connection:
        assert snapshot.anything_reclaimed(connection)
        assert not snapshot.anything_reclaimed(connection, closed=["slow"])
        sizes = {"slow": 2, "other": 1}
        assert len(claim(connection, **given, sizes=sizes, size=9).events) == 2  # type: ignore[arg-type]
        assert len(claim(connection, **given, sizes={"slow": 500}, size=2).events) == 2  # type: ignore[arg-type]


def test_what_is_due_of_one_projection(db: Database, insert: Insert) -> None:
    insert(entity_type="retried", entity_key="1", next_retry_at=at(-1))
    insert(entity_type="waits", entity_key="1", next_retry_at=at(60), error_reason="connect")
    insert(entity_type="fresh", entity_key="1")
    with when(db, 0) as connection:
        due = [name for name in ("", "retried", "waits", "fresh") if snapshot.due_of(connection, name)]
        assert due == ["retried", "fresh"]
        assert snapshot.due_of(connection, "waits", held="connect")
        assert not snapshot.due_of(connection, "waits", held="tls")


def test_a_reclaimed_event_is_not_claimed_before_its_time(db: Database, insert: Insert) -> None:
    """A failover to a server whose clock is behind: the time of the reclaim is still to come."""
    id_ = insert(error_reason="lease_expired", next_retry_at=at(3))
    assert claimed(db, seconds=2) == []
    assert [e.id for e in claimed(db, seconds=3)] == [id_]


def test_two_claims_never_share_an_event(db: Database, insert: Insert) -> None:
    ids = {insert() for _ in range(20)}
    with db.begin() as first, db.begin() as second:
        one = claim(first, owner="w", token=str(uuid4()), size=10, lease=10).events
        two = claim(second, owner="w", token=str(uuid4()), size=20, lease=10).events
    assert len(one) + len(two) == 20
    assert {e.id for e in one} | {e.id for e in two} == ids


def test_an_attempt_count_at_its_end_stops_nobody(
    db: Database, insert: Insert, sql: psycopg.Connection
) -> None:
    sql.execute("ALTER TABLE search_outbox_events ALTER attempts DROP NOT NULL")
    insert(attempts=2**31 - 1), insert(attempts=None), insert()
    assert sorted(event.attempts for event in claimed(db)) == [1, 1, 2**31 - 1]
