"""A delivery that takes long keeps its events, but not for ever."""

from uuid import uuid4

import psycopg

from moments import Insert, at
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import claim
from outboxctl.core.delivery.leases import reclaim, renew

TOKEN = str(uuid4())


def renewed(db: Database, seconds: float) -> bool:
    with db.begin() as connection:
        return renew(connection, TOKEN, lease=10, max_processing=60, now=at(seconds))


def stuck(db: Database, seconds: float) -> int:
    with db.begin() as connection:
        return reclaim(connection, max_processing=60, max_attempts=9, now=at(seconds)).total


def test_a_renewed_claim_is_kept_up_to_the_longest_processing_time(db: Database, insert: Insert) -> None:
    insert(), insert()
    with db.begin() as connection:
        claim(connection, owner="w", token=TOKEN, size=10, lease=10, now=at(0))
    assert renewed(db, 8)
    assert stuck(db, 17) == 0
    assert renewed(db, 59)
    assert not renewed(db, 60)
    assert stuck(db, 61) == 2


def test_what_was_taken_away_cannot_be_renewed(db: Database, insert: Insert, sql: psycopg.Connection) -> None:
    insert()
    with db.begin() as connection:
        claim(connection, owner="w", token=TOKEN, size=10, lease=10, now=at(0))
    assert stuck(db, 11) == 1
    before = sql.execute("SELECT * FROM search_outbox_events").fetchall()
    assert not renewed(db, 12)
    assert sql.execute("SELECT * FROM search_outbox_events").fetchall() == before
