"""Somebody holds a lock of a row: only that event waits, and the log says who it is."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from time import monotonic
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from fakes import Point, fake_sink
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import claim
from outboxctl.worker.claiming.leases import Lease
from outboxctl.worker.upkeep.heartbeat import Renewal
from processes import Worker, eventually
from scene import Scene, ready
from servers import Servers
from worker_parts import make_parts

pytestmark = pytest.mark.real_engine
EVENTS = "search_outbox_events"
LOCK = f"SELECT id::text FROM {EVENTS} WHERE status = %s ORDER BY created_at, id LIMIT %s FOR UPDATE"
QUICK = {"OUTBOX_LEASE_SECONDS": "4", "OUTBOX_RECLAIM_INTERVAL_SECONDS": "1"}


@pytest.fixture
def person(url: str) -> Iterator[psycopg.Connection]:
    """Somebody who forgets his transaction."""
    with closing(psycopg.connect(url, application_name="psql\x1b[2J")) as connection:
        yield connection


def lock(person: psycopg.Connection, status: str, count: int = 1) -> list[str]:
    return [id_ for (id_,) in person.execute(LOCK, [status, count]).fetchall()]


def lines(running: Worker, event: str) -> list[dict[str, Any]]:
    """The lines of its log that begin so."""
    said = [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in said if line["event"].startswith(event)]


def names(running: Worker, person: psycopg.Connection) -> bool:
    """Whether the log names the session, its control characters escaped."""
    expected = f"pid {person.info.backend_pid} (psql\\x1b[2J, "
    return any(expected in line["locked_by"] for line in lines(running, "events are locked"))


@pytest.mark.parametrize("policy", ["count", "hold"])
def test_one_locked_row_of_a_batch_stops_nothing_else(
    scene: Scene,
    worker: Callable[..., Worker],
    servers: Servers,
    person: psycopg.Connection,
    policy: str,
) -> None:
    scene.load(100)
    with fake_sink(upstream=servers.sink) as sink, sink.script.hold(Point.BEFORE_APPLY) as gate:
        running = worker(**QUICK, ELASTIC_URL=sink.url, OUTBOX_OUTAGE_POLICY=policy)
        gate.wait()
        assert lock(person, "processing")
        gate.let_go()
        eventually(lambda: scene.count("done") == 99, within=20, what="all the others, while it is locked")
        eventually(lambda: names(running, person), what="the log names who it is")
        scene.load(100)
        eventually(lambda: scene.count("done") == 199, within=20, what="what comes later, too")
        assert ready(running), "the database is no less reachable for it"
        assert not lines(running, "database is failing")
        (line,) = lines(running, "events are locked")
        assert (line["events"], line["pid"]) == (1, person.info.backend_pid)
        person.rollback()
        scene.finished_by(running, 200, leases_may_end=True)


def test_locked_pending_events_are_passed_by(
    scene: Scene, worker: Callable[..., Worker], person: psycopg.Connection
) -> None:
    scene.load(100)
    assert len(lock(person, "pending", 50)) == 50
    running = worker(OUTBOX_BULK_SIZE="10")
    eventually(lambda: scene.count("done") == 50, within=20, what="those that nobody has locked")
    person.rollback()
    scene.finished_by(running, 100)


@pytest.mark.slow(reason="real workers for some seconds")
def test_a_worker_that_stops_leaves_a_locked_event_to_its_lease(
    scene: Scene, worker: Callable[..., Worker], servers: Servers, person: psycopg.Connection
) -> None:
    """It settles the rest of its batch, and does not wait beyond its grace."""
    scene.load(10)
    with fake_sink(upstream=servers.sink) as sink, sink.script.hold(Point.BEFORE_APPLY) as gate:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_SHUTDOWN_GRACE_SECONDS="4")
        gate.wait()
        assert lock(person, "processing")
        running.signal()
        gate.let_go()
        assert running.wait(20) != 0
    assert "1 event locked by another session" in running.log.read_text()
    assert scene.rows("status, count(*) OVER (PARTITION BY status)") == [("done", 9), ("processing", 1)]


def test_a_locked_table_stops_everything_and_says_so(
    scene: Scene, worker: Callable[..., Worker], person: psycopg.Connection
) -> None:
    scene.load(2_000)
    running = worker(OUTBOX_BULK_SIZE="20", OUTBOX_LEASE_SECONDS="2")
    eventually(lambda: scene.count("done"), what="under way")
    person.execute(f"LOCK TABLE {EVENTS}")
    holder = f"{EVENTS} is locked by pid {person.info.backend_pid}"
    eventually(lambda: holder in running.get("/readyz")[1], what="it says so")
    person.rollback()
    scene.finished_by(running, 2_000, leases_may_end=True)
    assert scene.count("failed") == 0


def test_a_delivery_whose_events_are_all_locked_keeps_its_lease(
    scene: Scene, person: psycopg.Connection, db: Database
) -> None:
    scene.load(3)
    token = str(uuid4())
    with db.begin() as connection:
        claim(connection, owner="w", token=token, size=10, lease=30)
    lock(person, "processing", 3)
    parts = make_parts(db)
    lease = Lease(token, 30.0, 3, requested_at=monotonic() - 20)
    lease.delivering = True
    parts.context.in_flight.add(lease)
    before = lease.ends
    Renewal(parts.context).turn()
    assert lease.ends == before
    person.rollback()
    Renewal(parts.context).turn()
    assert lease.ends > before
