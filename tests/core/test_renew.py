"""A delivery that takes long keeps its events, but not for ever."""

from uuid import uuid4

import psycopg

from moments import Insert, when
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import claim
from outboxctl.core.delivery.leases import Renewed, reclaim, renew
from outboxctl.core.sql import Connection

TOKEN = str(uuid4())


def renewed(db: Database, seconds: float) -> bool:
    with when(db, seconds) as connection:
        return outcome(connection) is Renewed.RENEWED


def outcome(connection: Connection) -> Renewed:
    return renew(connection, TOKEN, lease=10, max_processing=60)


def stuck(db: Database, seconds: float) -> int:
    with when(db, seconds) as connection:
        return reclaim(connection, max_processing=60, max_attempts=9).total


def test_a_renewed_claim_is_kept_up_to_the_longest_processing_time(db: Database, insert: Insert) -> None:
    insert(), insert()
    with when(db, 0) as connection:
        claim(connection, owner="w", token=TOKEN, size=10, lease=10)
    assert renewed(db, 8)
    assert stuck(db, 17) == 0
    assert renewed(db, 59)
    assert not renewed(db, 60)
    assert stuck(db, 61) == 2


def test_what_was_taken_away_cannot_be_renewed(db: Database, insert: Insert, sql: psycopg.Connection) -> None:
    insert()
    with when(db, 0) as connection:
        claim(connection, owner="w", token=TOKEN, size=10, lease=10)
    assert stuck(db, 11) == 1
    before = sql.execute("SELECT * FROM search_outbox_events").fetchall()
    assert not renewed(db, 12)
    assert sql.execute("SELECT * FROM search_outbox_events").fetchall() == before


def test_a_claim_whose_events_are_all_locked_is_not_lost(
    db: Database, insert: Insert, sql: psycopg.Connection
) -> None:
    insert(), insert()
    with db.begin() as connection:
        claim(connection, owner="w", token=TOKEN, size=10, lease=10)
    with sql.transaction():
        sql.execute("SELECT FROM search_outbox_events FOR UPDATE")
        with db.begin() as connection:
            assert outcome(connection) is Renewed.LOCKED
    with db.begin() as connection:
        assert outcome(connection) is Renewed.RENEWED
