"""Delivered deletes: written with their events, taken by one worker at a time, kept until the last time."""

from collections.abc import Sequence
from uuid import uuid4

import psycopg

from moments import Insert, at, when
from outboxctl.core.database import Database
from outboxctl.core.delivery import deletes, settle
from outboxctl.core.delivery.claim import claim
from outboxctl.core.delivery.deletes import DeliveredDelete, DueDelete
from outboxctl.domain.lifecycle import PROJECTION

TOKEN = str(uuid4())
FILL = """
INSERT INTO outbox_deletes (projection, document_id, version, delivered_at, due_at)
SELECT %s, 'd' || n, 1, %s, %s FROM generate_series(1, 100000) n
"""
SCANNED = "SELECT pg_stat_get_xact_tuples_returned('public.outbox_deletes'::regclass)"
FIRST, LEASE, LAST = 30.0, 10.0, 630.0  # seconds


def delivered(*documents: str, version: int = 7, projection: str = PROJECTION) -> list[DeliveredDelete]:
    return [DeliveredDelete(projection, document, version, "") for document in documents]


def note(
    db: Database, what: Sequence[DeliveredDelete], seconds: float = 0, *, events: Sequence[str] = ()
) -> None:
    """Write these down as a worker does."""
    with when(db, seconds) as connection:
        ids = list(events) or [str(uuid4())]
        settle.write(connection, TOKEN, done=ids, deletes=deletes.noted(what, first=FIRST))


def take(db: Database, seconds: float, *, size: int = 100, projection: str = PROJECTION) -> list[DueDelete]:
    with when(db, seconds) as connection:
        return deletes.take(connection, projection, size=size, lease=LEASE, last=LAST)


def due(db: Database, seconds: float) -> list[str]:
    with when(db, seconds) as connection:
        return deletes.due(connection)


def remove(db: Database, taken: Sequence[DueDelete]) -> None:
    with db.begin() as connection:
        deletes.remove(connection, [each.id for each in taken])


def documents(taken: Sequence[DueDelete]) -> list[str]:
    return sorted(each.document_id for each in taken)


def rows(sql: psycopg.Connection) -> int:
    return len(sql.execute("SELECT FROM outbox_deletes").fetchall())


def test_a_delete_is_written_down_with_the_outcome_of_its_event(
    db: Database, sql: psycopg.Connection, insert: Insert
) -> None:
    event = insert(op="delete", event_version=7)
    with when(db, 1) as connection:
        claim(connection, owner="w", token=TOKEN, size=1, lease=10)
    note(db, delivered("a"), 2, events=[event])
    assert sql.execute("SELECT status FROM search_outbox_events").fetchall() == [("done",)]
    assert [each[1:] for each in take(db, 32)] == [("a", 7, "", "", False)]


def test_it_is_due_once_a_lease_is_over_and_taken_by_one_worker(db: Database) -> None:
    note(db, delivered("a", "b", "c"))
    assert due(db, FIRST - 1) == []
    assert take(db, FIRST - 1) == []
    assert due(db, FIRST) == [PROJECTION]
    first, second = take(db, FIRST, size=2), take(db, FIRST)
    assert documents([*first, *second]) == ["a", "b", "c"]
    assert due(db, FIRST) == []


def test_it_is_taken_for_the_last_time_until_somebody_has_sent_it(
    db: Database, sql: psycopg.Connection
) -> None:
    note(db, delivered("a"))
    assert [each.last for each in take(db, 30)] == [False]
    assert take(db, LAST - 1) == []
    assert [each.last for each in take(db, LAST)] == [True]
    assert take(db, LAST + LEASE - 1) == [], "another worker has it"
    again = take(db, LAST + LEASE)
    assert [each.last for each in again] == [True], "which has died"
    remove(db, again)
    assert rows(sql) == 0


def test_after_an_outage_one_time_is_enough(db: Database) -> None:
    note(db, delivered("a"))
    assert [each.last for each in take(db, LAST + 3_600)] == [True]


def test_a_first_time_that_is_late_is_not_followed_at_once_by_the_last(db: Database) -> None:
    note(db, delivered("a"))
    assert [each.last for each in take(db, LAST - 1)] == [False]
    assert take(db, LAST) == []
    assert [each.last for each in take(db, LAST - 1 + LEASE)] == [True]


def test_hostile_ids_are_written_as_they_are(db: Database) -> None:
    ids = ['",{}[]\\\\', "\u2028 'x' $1 :id %s", "ä:ö", "", "NULL"]
    note(db, [DeliveredDelete("p", each, 2**63 - 1, each) for each in ids])
    assert sorted(each[1:4] for each in take(db, 30, projection="p")) == sorted(
        (each, 2**63 - 1, each) for each in ids
    )


def test_two_deletes_of_one_document_are_two_rows(db: Database) -> None:
    note(db, delivered("a", version=7))
    note(db, delivered("a", version=9), 20)
    assert [each.version for each in take(db, 30)] == [7]
    assert [each.version for each in take(db, 50)] == [9]
    assert sorted(each.version for each in take(db, LAST + 20)) == [7, 9]


def test_a_row_that_another_session_has_locked_waits_alone(db: Database, sql: psycopg.Connection) -> None:
    note(db, delivered("a", "b"))
    taken = take(db, 30)
    with sql.transaction():
        sql.execute("SELECT FROM outbox_deletes WHERE document_id = 'a' FOR UPDATE")
        remove(db, taken)
        note(db, delivered("a"), 31)
        assert take(db, 60) == []
    assert rows(sql) == 2, "the locked one, and the new one"


def test_an_entity_that_was_created_again_is_left_alone(db: Database, sql: psycopg.Connection) -> None:
    """Its version may be the delete's, where the application counts so."""
    entity, gone = uuid4(), uuid4()
    note(db, delivered(f"a:b:{entity}", f"a:b:{gone}"))
    sql.execute(
        "INSERT INTO search_index (id, entity_type, entity_id, event_version, text, created_at, updated_at)"
        " VALUES (gen_random_uuid(), 'a:b', %s, 7, '', now(), now())",
        [entity],
    )
    assert documents(take(db, 30)) == [f"a:b:{gone}"]
    assert rows(sql) == 1


def test_of_a_projection_its_own_rows_are_taken_and_dropped(db: Database, sql: psycopg.Connection) -> None:
    note(db, delivered("1"))
    note(db, delivered("2", projection="b"))
    note(db, delivered("3", projection="z"))
    note(db, delivered("4", projection="c"), 100)
    assert due(db, 30) == sorted([PROJECTION, "b", "z"])
    assert documents(take(db, 30, projection="b")) == ["2"]
    assert due(db, 30) == sorted([PROJECTION, "z"])
    with db.begin() as connection:
        assert deletes.drop(connection, "z") == 1
    assert due(db, 30) == [PROJECTION]
    assert rows(sql) == 3


def test_a_hundred_thousand_are_taken_and_recorded_by_their_indexes(
    db: Database, sql: psycopg.Connection
) -> None:
    sql.execute(FILL, [PROJECTION, at(0), at(30)])
    with db.begin() as connection:
        taken = deletes.take(connection, PROJECTION, size=1_000, lease=10, last=LAST)
        deletes.remove(connection, [each.id for each in taken])
        assert deletes.due(connection) == [PROJECTION]
        scanned = connection.exec_driver_sql(SCANNED).scalar_one()
    assert len(taken) == 1_000
    assert scanned == 0, "no row was read by a scan of the table"
