"""What a rebuild's next round sends: each change that its last one may not have seen, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.documents.since import Position, Since, position
from outboxctl.core.documents.table import TableSource, entity_of
from outboxctl.core.projections import events
from processes import eventually
from rebuilding import put, take_away
from servers import Servers

LONG_AGO = timedelta(hours=1)


def here(db: Database) -> Position:
    """The position now."""
    with db.begin() as connection:
        return position(connection)


def changed(db: Database, seen: Position, *, gone: timedelta = LONG_AGO) -> set[str]:
    """The entities that a round sends which follows `seen`; `gone` before the time that counts otherwise."""
    moment = seen.moment - LONG_AGO
    with db.begin() as connection:
        since = Since(moment, moment - gone + LONG_AGO, seen)
        return {
            entity_of(each.key)[1]
            for page in TableSource().changed(connection, since, size=10)
            for each in page
        }


def changed_keys(db: Database, seen: Position) -> set[str]:
    """The same of a projection's events."""
    moment = seen.moment - LONG_AGO
    with db.begin() as connection:
        pages = events.changed(connection, "p", Since(moment, moment, seen), size=10)
        return {key for page in pages for key, _ in page}


@contextmanager
def transaction(url: str) -> Iterator[psycopg.Connection]:
    """A transaction of an application that writes; it commits at the end."""
    with psycopg.connect(url) as other:
        other.execute("CREATE TEMP TABLE own (n int)")  # it has a number of its own now
        yield other


def quiet(db: Database) -> bool:
    """Whether nothing is sent again. A transaction elsewhere that ends just now may be taken for ours."""
    return changed(db, here(db)) == set()


def test_what_was_seen_is_not_sent_again(db: Database, sql: psycopg.Connection) -> None:
    old, moved, new = uuid4(), uuid4(), uuid4()
    put(sql, old, moved)
    seen = here(db)
    put(sql, new)
    sql.execute("UPDATE search_outbox_events SET status = 'done' WHERE entity_id = %s", [moved])
    assert changed(db, seen) >= {str(moved), str(new)}
    eventually(lambda: quiet(db))


def test_an_event_of_a_savepoint_is_sent_once_its_transaction_has_committed(
    db: Database, sql: psycopg.Connection, url: str
) -> None:
    """A snapshot names transactions only: that one of its parts goes on is not in it."""
    late: UUID = uuid4()
    with transaction(url) as other:
        with other.transaction():
            put(other, late)
        put(sql, uuid4())  # a higher number, which has ended
        seen = here(db)
    assert str(late) in changed(db, seen)


def test_rows_that_are_gone_are_sent_for_longer_once(db: Database, sql: psycopg.Connection) -> None:
    """The first round: tombstones for whatever a delayed worker may still write."""
    gone, there = uuid4(), uuid4()
    put(sql, gone, there)
    take_away(sql, gone)
    eventually(lambda: quiet(db))
    eventually(lambda: changed(db, here(db), gone=2 * LONG_AGO) == {str(gone)})


@pytest.mark.parametrize("other", ["another server", "started anew"])
def test_at_another_server_the_time_alone_counts(db: Database, sql: psycopg.Connection, other: str) -> None:
    """Its transactions have other numbers."""
    put(sql, entity := uuid4())
    eventually(lambda: quiet(db))
    assert changed(db, here(db)._replace(server=other)) == {str(entity)}


def test_a_transaction_in_another_database_holds_nothing_up(
    db: Database, sql: psycopg.Connection, servers: Servers
) -> None:
    with transaction(servers.postgres):
        put(sql, uuid4())
        eventually(lambda: quiet(db))


def test_of_a_projection_too(db: Database, sql: psycopg.Connection, url: str) -> None:
    write = """INSERT INTO search_outbox_events (entity_type, entity_id, op, status, entity_key)
        VALUES ('p', gen_random_uuid(), 'upsert', 'done', %s)"""
    sql.execute(write, ["old"])
    with transaction(url) as other:
        with other.transaction():
            other.execute(write, ["late"])
        sql.execute(write, ["seen, perhaps"])
        seen = here(db)
    sql.execute(write, ["new"])
    assert changed_keys(db, seen) == {"late", "seen, perhaps", "new"}
    eventually(lambda: changed_keys(db, here(db)) == set())
