"""Under live traffic nothing that is merely on its way is called a difference, and what is wrong is found."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from operations.disaster import Ground
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Census, Sides
from processes import Cli, Worker, eventually

pytestmark = pytest.mark.real_engine
UPSERT = """
WITH changed AS (
    UPDATE search_index SET event_version = event_version + 1, text = 'changed'
    WHERE (entity_type || ':' || entity_id) = ANY (%s) RETURNING entity_type, entity_id, event_version
)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), entity_type, entity_id, 'upsert', event_version, 'pending' FROM changed
"""
DELETE = """
WITH gone AS (
    DELETE FROM search_index WHERE (entity_type || ':' || entity_id) = ANY (%s)
    RETURNING entity_type, entity_id, event_version
)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), entity_type, entity_id, 'delete', event_version + 1, 'pending' FROM gone
"""


@contextmanager
def traffic(url: str, ids: list[str]) -> Iterator[list[int]]:
    """An application that changes these entities all the time, and deletes a few; yields its transactions."""
    stop, done = threading.Event(), [0]

    def write() -> None:
        rng = Random(7)
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.wait(0.005):
                some = rng.sample(ids, 10)
                connection.execute(DELETE if done[0] % 20 == 19 else UPSERT, [some])
                done[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join(10)


@pytest.mark.slow(reason="traffic for some seconds")
def test_live_traffic_is_no_difference_and_damage_among_it_is_found(
    sides: Sides,
    url: str,
    sql: psycopg.Connection[Any],
    engine: Elasticsearch,
    index: str,
    worker: Callable[..., Worker],
) -> None:
    ground = Ground.filled(sql, engine, index, 3_000)
    quiet, busy = ground.documents()[:1_000], [one.id for one in ground.documents()[1_000:]]
    damaged = [one for one in quiet if one.version > 1][:50]
    ground.bulk([{"delete": {"_id": one.id}} for one in damaged])
    worker("--poll-interval-seconds", "0.1")
    with traffic(url, busy) as done:
        eventually(lambda: done[0] > 20, what="traffic")
        before = done[0]
        in_flight = rounds = 0
        while rounds < 4 or (not in_flight and rounds < 40):  # a fast worker leaves none on its way at times
            found = list(compare(sides))
            in_flight += sum(difference.in_flight for difference in found)
            rounds += 1
            assert {d.id for d in found if not d.in_flight} == {one.id for one in damaged}
        assert done[0] > before + 10
    assert in_flight > 0, "no event was caught on its way: the test proves nothing"
    pending = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
    eventually(lambda: sql.execute(pending).fetchone() == (0,), what="drained")
    census = Census()
    assert {d.id for d in compare(sides, census=census)} == {one.id for one in damaged}
    assert census.documents == census.rows - len(damaged)


def test_events_that_wait_are_in_flight_and_those_that_failed_are_not(
    sides: Sides, sql: psycopg.Connection[Any], engine: Elasticsearch, index: str
) -> None:
    ground = Ground.filled(sql, engine, index, 20)
    ids = [one.id for one in ground.documents()]
    sql.execute(UPSERT, [ids[:12]])
    sql.execute(
        "UPDATE search_outbox_events SET status = 'failed' WHERE entity_id IN (%s, %s)",
        [
            ids[0][-36:],
            ids[1][-36:],
        ],
    )
    found = {difference.id: difference.in_flight for difference in compare(sides)}
    assert found == {id_: id_ not in ids[:2] for id_ in ids[:12]}


def test_it_says_how_many_have_a_failed_event(
    cli: Cli, sql: psycopg.Connection[Any], engine: Elasticsearch, index: str
) -> None:
    ground = Ground.filled(sql, engine, index, 20)
    ids = [one.id for one in ground.documents()]
    for id_ in ids[:5]:
        engine.delete(index=index, id=id_)
    engine.indices.refresh(index=index)
    sql.execute(UPSERT, [ids[2:8]])
    sql.execute("UPDATE search_outbox_events SET status = 'failed'")
    done = cli("verify")
    assert done.returncode == 4
    assert "6 of them have a failed event: outboxctl failed list" in " ".join(done.stdout.split())
    assert "all that is needed" not in done.stdout, "2 of them have none"
    report = json.loads(cli("verify", "--json").stdout)
    assert (report["differences"], report["with_failed_event"]) == (8, 6)
    sql.execute(UPSERT, [ids[:2]])
    sql.execute("UPDATE search_outbox_events SET status = 'failed'")
    assert "outboxctl replay; it may be all that is needed." in cli("verify").stdout
    sql.execute("DELETE FROM search_outbox_events")
    assert "failed event" not in cli("verify").stdout
