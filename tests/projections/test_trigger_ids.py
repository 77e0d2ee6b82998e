"""Ids of events are UUIDs of version 7, in the order of time, and no two are the same."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from outboxctl.core.projections.trigger_bulk import BULK

IDS = "SELECT id FROM public.search_outbox_events ORDER BY ctid"
UNIQUE = "SELECT count(*), count(DISTINCT id) FROM public.search_outbox_events"


def _ids(sql: psycopg.Connection) -> list[UUID]:
    return [id_ for (id_,) in sql.execute(IDS).fetchall()]


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO shop.products (id) SELECT n FROM generate_series(11, {9 + BULK}) n",
        "UPDATE shop.products SET name = 'x' WHERE id < 3",
        "DELETE FROM shop.products WHERE id IN (3, 4)",
        "UPDATE shop.reviews SET stars = 4",
        "DELETE FROM shop.categories",
        "TRUNCATE shop.offers",
    ],
)
def test_they_say_when_they_were_made_and_grow_within_a_statement(
    watched: psycopg.Connection, statement: str
) -> None:
    began = datetime.now(UTC)
    watched.execute(statement.encode())
    ids = _ids(watched)
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids) > 0
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    for each in (ids[0], ids[-1]):
        made = datetime.fromtimestamp((each.int >> 80) / 1_000, UTC)
        assert abs(made - began) < timedelta(minutes=1)


def test_sessions_that_write_at_the_same_time_make_different_ones(
    watched: psycopg.Connection, url: str
) -> None:
    watched.execute("ALTER TABLE search_outbox_events DROP CONSTRAINT search_outbox_events_pkey")

    def write(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("SELECT setseed(0.5)")
            for _ in range(100):
                session.execute("UPDATE shop.reviews SET stars = stars + 1 WHERE id = %s", [number])

    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2, 3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert watched.execute(UNIQUE).fetchone() == (300, 300)
