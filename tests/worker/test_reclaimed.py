"""What a killed worker held is through at once, and an event that kills takes no neighbour to its end."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from fakes import FakeSink, Point, ProxyFault, Script, fake_sink
from fakes.faults import HEALTHY
from fakes.script import Bulk
from outboxctl.core.delivery.claim import GROUP
from processes import Worker, eventually
from scene import Scene
from servers import Servers

HELD = 3_000  # by a worker with its defaults
NEIGHBOURS = 20
MOST_KILLS = 20
NEVER_APPLIED = ProxyFault(apply=False, before=3600)
SETTINGS = {
    "OUTBOX_BULK_SIZE": "1000",
    "OUTBOX_CONCURRENCY": "3",
    "OUTBOX_LEASE_SECONDS": "600",
    "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.2",
}
Start = Callable[..., Worker]
BATCH = 20
LOOKED = 1.0  # seconds: it looks twice a second


def dies_with(scene: Scene, worker: Start, sink: FakeSink, held: int) -> None:
    """A worker that has claimed so many events is killed; their leases are over.

    Its request is past every point of the sink on return: a gate that a test opens next is not reached by it.
    """
    with sink.script.hold(Point.BEFORE_APPLY) as before, sink.script.hold(Point.AFTER_APPLY) as after:
        running = worker(**SETTINGS, ELASTIC_URL=sink.url)
        eventually(lambda: scene.count("processing") == held, what="all in hand")
        before.wait()
        running.signal(signal.SIGKILL)
        running.wait()
        before.let_go()
        after.wait()
    scene.pass_leases()


class Killers:
    """Each request with one of these documents is never answered, and its worker is killed over it."""

    def __init__(self, documents: Sequence[str]) -> None:
        self._documents, self._sent = set(documents), threading.Event()
        self.together: list[int] = []  # events in each such request

    def choose(self, bulk: Bulk) -> ProxyFault:
        """The fault of a request."""
        if self._documents.isdisjoint(bulk.ids):
            return HEALTHY
        self.together.append(len(bulk.ids))
        self._sent.set()
        return NEVER_APPLIED

    def kill_until(self, over: Callable[[], bool], start: Callable[[], Worker], scene: Scene) -> None:
        """One worker after the other dies over such a request, until all is over; the last one lives."""
        for _ in range(MOST_KILLS):
            running = start()
            eventually(lambda: self._sent.is_set() or over(), what="one dies, or all is over")
            if not self._sent.is_set():
                return
            running.signal(signal.SIGKILL)
            running.wait()
            self._sent.clear()
            scene.pass_leases()
        pytest.fail("there was no end")


@contextmanager
def writing(url: str, index: str, client: Elasticsearch) -> Iterator[list[int]]:
    """An application that goes on writing; the sizes of its transactions."""
    over, loads = threading.Event(), list[int]()

    def write() -> None:
        with psycopg.connect(url, autocommit=True) as own:
            while not over.wait(0.05):
                Scene(own, client, index).load(5)
                loads.append(5)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield loads
    finally:
        over.set()
        writer.join()


def test_what_a_killed_worker_held_is_through_in_a_few_claims(
    sql: psycopg.Connection, index: str, worker: Start
) -> None:
    with fake_sink() as sink, Elasticsearch(sink.url) as client:
        scene = Scene(sql, client, index)
        scene.load(HELD)
        dies_with(scene, worker, sink, HELD)
        before = len(sink.requests)
        second = worker(**SETTINGS, ELASTIC_URL=sink.url)
        scene.finished_by(second, HELD)
        sent = [len(bulk.ids) for bulk in sink.requests[before:]]
    assert max(sent) <= GROUP, "so many are alone if it dies again"
    assert len(sent) <= HELD / GROUP + 1
    assert scene.rows("attempts") == [(2,)]


@pytest.mark.slow(reason="real workers for some seconds")
def test_other_traffic_flows_beside_a_killer_and_loses_no_attempt_to_it(
    sql: psycopg.Connection, url: str, index: str, worker: Start
) -> None:
    """What comes after the first death is never in flight with it."""
    entity, event = lab.put(sql)
    with fake_sink() as sink, Elasticsearch(sink.url) as client:
        scene = Scene(sql, client, index)
        scene.load(NEIGHBOURS)
        dies_with(scene, worker, sink, NEIGHBOURS + 1)
        sql.execute("UPDATE search_outbox_events SET event_version = 0")  # marks the old ones
        deaths = Killers([f"block:{entity}"])
        sink.script.choose = deaths.choose

        def start() -> Worker:
            done = scene.count("done")
            running = worker(**SETTINGS, OUTBOX_MAX_ATTEMPTS="4", ELASTIC_URL=sink.url)
            eventually(lambda: scene.count("done") > done, what="others flow")
            return running

        with writing(url, index, client) as loads:
            deaths.kill_until(lambda: scene.count("failed") == 1, start, scene)
        total = NEIGHBOURS + sum(loads)
        eventually(lambda: scene.count("done") == total, what="all others done")
    assert lab.event_row(sql, event)["error_reason"] == "lease_expired"
    assert scene.rows("event_version, max(attempts) OVER (PARTITION BY event_version)") == [(0, 4), (1, 1)]


@pytest.mark.slow(reason="real workers for some seconds")
@pytest.mark.real_engine
def test_others_go_on_while_it_waits_for_what_takes_long(
    scene: Scene, worker: Callable[..., Worker], servers: Servers
) -> None:
    scene.load(BATCH)
    slow = ProxyFault(before=3600)
    with fake_sink(Script.of(slow), upstream=servers.sink) as sink:
        worker(ELASTIC_URL=sink.url, OUTBOX_CONCURRENCY="2", OUTBOX_LEASE_SECONDS="600")
        eventually(lambda: sink.requests, what="one lane has a batch at the sink")
        load_reclaimed(scene)
        number, ends = 0, monotonic() + LOOKED  # the worker has found the reclaimed one by then
        while monotonic() < ends:
            number += 1
            scene.load(1)
            eventually(partial(done, scene, number), within=10, what="others go on")
        assert scene.rows("status, error_reason") == [
            ("done", None),
            ("pending", "lease_expired"),
            ("processing", None),
        ]


def done(scene: Scene, number: int) -> bool:
    return scene.count("done") == number


def load_reclaimed(scene: Scene) -> None:
    """One event whose former claim ran out."""
    with scene.sql.transaction():
        scene.load(1)
        scene.sql.execute(
            "UPDATE search_outbox_events SET error_reason = 'lease_expired' WHERE status = 'pending'"
        )
