"""Delivered deletes: written with their events, taken by one worker at a time, kept until the last time."""

from collections.abc import Sequence
from uuid import uuid4

import psycopg

from moments import Insert, at, when
from outboxctl.core.database import Database
from outboxctl.core.delivery import deletes, settle
from outboxctl.core.delivery.claim import claim
from outboxctl.core.delivery.deletes import DeliveredDelete
from outboxctl.domain.lifecycle import PROJECTION

TOKEN = str(uuid4())
FILL = """
INSERT INTO outbox_deletes (projection, document_id, version, delivered_at, due_at)
SELECT %s, 'd' || n, 1, %s, %s FROM generate_series(1, 100000) n
"""
SCANNED = "SELECT pg_stat_get_xact_tuples_returned('public.outbox_deletes'::regclass)"
FIRST, LEASE, LAST = 30.0, 10.0, 630.0  # seconds


def delivered(*documents: str, version: int = 7, projection: str = PROJECTION) -> list[DeliveredDelete]:
    return [DeliveredDelete(projection, document, version) for document in documents]


def put(
    db: Database, what: Sequence[DeliveredDelete], seconds: float = 0, *, events: Sequence[str] = ()
) -> None:
    """Write these down as a worker does."""
    with when(db, seconds) as connection:
        ids = list(events) or [str(uuid4())]
        settle.write(connection, TOKEN, done=ids, more=deletes.inserting(what, first=FIRST))


def take(
    db: Database, seconds: float, *, size: int = 100, refused: Sequence[str] = ()
) -> list[DeliveredDelete]:
    with when(db, seconds) as connection:
        return deletes.take(connection, size=size, lease=LEASE, last=LAST, refused=refused)


def remove(db: Database, taken: Sequence[DeliveredDelete]) -> None:
    with db.begin() as connection:
        deletes.remove(connection, taken)


def lasts(taken: Sequence[DeliveredDelete]) -> list[bool]:
    """Of each, whether it is repeated for the last time."""
    return [each.row is not None for each in taken]


def in_force(sql: psycopg.Connection, *names: str) -> None:
    """Declare projections of which only the name counts."""
    for name in names:
        sql.execute("INSERT INTO outbox_projections VALUES (%s, '{}', now(), 'me')", [name])


def documents(taken: Sequence[DeliveredDelete]) -> list[str]:
    return sorted(each.document_id for each in taken)


def rows(sql: psycopg.Connection) -> int:
    return len(sql.execute("SELECT FROM outbox_deletes").fetchall())


def test_a_delete_is_written_down_with_the_outcome_of_its_event(
    db: Database, sql: psycopg.Connection, insert: Insert
) -> None:
    event = insert(op="delete", event_version=7)
    with when(db, 1) as connection:
        claim(connection, owner="w", token=TOKEN, size=1, lease=10)
    put(db, delivered("a"), 2, events=[event])
    assert sql.execute("SELECT status FROM search_outbox_events").fetchall() == [("done",)]
    assert take(db, 32) == [DeliveredDelete(PROJECTION, "a", 7)]


def test_it_is_due_once_a_lease_is_over_and_taken_by_one_worker(db: Database) -> None:
    put(db, delivered("a", "b", "c"))
    assert take(db, FIRST - 1) == []
    first, second = take(db, FIRST, size=2), take(db, FIRST)
    assert documents([*first, *second]) == ["a", "b", "c"]
    assert take(db, FIRST) == []


def test_it_is_taken_for_the_last_time_until_somebody_has_sent_it(
    db: Database, sql: psycopg.Connection
) -> None:
    put(db, delivered("a"))
    assert lasts(take(db, 30)) == [False]
    assert take(db, LAST - 1) == []
    assert lasts(take(db, LAST)) == [True]
    assert take(db, LAST + LEASE - 1) == [], "another worker has it"
    again = take(db, LAST + LEASE)
    assert lasts(again) == [True], "which has died"
    remove(db, again)
    assert rows(sql) == 0


def test_after_an_outage_one_time_is_enough(db: Database) -> None:
    put(db, delivered("a"))
    assert lasts(take(db, LAST + 3_600)) == [True]


def test_a_first_time_that_is_late_is_not_followed_at_once_by_the_last(db: Database) -> None:
    put(db, delivered("a"))
    assert lasts(take(db, LAST - 1)) == [False]
    assert take(db, LAST) == []
    assert lasts(take(db, LAST - 1 + LEASE)) == [True]


def test_hostile_ids_are_written_as_they_are(db: Database, sql: psycopg.Connection) -> None:
    in_force(sql, "p")
    hostile = ['",{}[]\\\\', "\u2028 'x' $1 :id %s", "ä:ö", "", "NULL"]
    written = [DeliveredDelete("p", each, 2**63 - 1, each) for each in hostile]
    put(db, written)
    assert sorted(take(db, 30)) == sorted(written)


def test_two_deletes_of_one_document_are_two_rows(db: Database) -> None:
    put(db, delivered("a", version=7))
    put(db, delivered("a", version=9), 20)
    assert [each.version for each in take(db, 30)] == [7]
    assert [each.version for each in take(db, 50)] == [9]
    assert sorted(each.version for each in take(db, LAST + 20)) == [7, 9]


def test_a_row_that_another_session_has_locked_waits_alone(db: Database, sql: psycopg.Connection) -> None:
    put(db, delivered("a", "b"))
    with sql.transaction():
        sql.execute("SELECT FROM outbox_deletes WHERE document_id = 'a' FOR UPDATE")
        assert documents(take(db, 30)) == ["b"]


def test_one_projection_is_taken_at_a_time_and_none_that_is_refused_or_not_in_force(
    db: Database, sql: psycopg.Connection
) -> None:
    in_force(sql, "b", "c")
    for n, name in enumerate((PROJECTION, "b", "z")):
        put(db, delivered(str(n), projection=name))
    put(db, delivered("4", projection="c"), 100)
    assert {take(db, 30, refused=["b"])[0].projection, take(db, 30, refused=[PROJECTION])[0].projection} == {
        PROJECTION,
        "b",
    }
    assert take(db, 30) == []
    with db.begin() as connection:
        deletes.drop(connection, "z")
    assert rows(sql) == 3


def test_a_hundred_thousand_are_taken_and_recorded_by_their_indexes(
    db: Database, sql: psycopg.Connection
) -> None:
    sql.execute(FILL, [PROJECTION, at(0), at(30)])
    with db.begin() as connection:
        taken = deletes.take(connection, size=1_000, lease=10, last=LAST)
        deletes.remove(connection, taken)
        scanned = connection.exec_driver_sql(SCANNED).scalar_one()
    assert len(taken) == 1_000
    assert scanned == 0, "no row was read by a scan of the table"
