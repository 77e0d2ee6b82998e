"""An event that may have ended its worker is sent only when nothing else is in hand."""

import threading
from collections.abc import Callable
from functools import partial
from time import monotonic

import pytest

from fakes import Point, ProxyFault, Script, fake_sink
from fakes.faults import HEALTHY
from outboxctl.drills.proxy.passing import Bulk
from processes import Worker, eventually
from scene import Scene
from servers import Servers

BATCH = 20
LOOKED = 2.0  # seconds: it looks twice a second


@pytest.mark.real_engine
def test_it_waits_for_what_the_other_lanes_have_at_the_sink(
    scene: Scene, worker: Callable[..., Worker], servers: Servers
) -> None:
    scene.load(BATCH)
    second = threading.Event()

    def choose(bulk: Bulk) -> ProxyFault:
        if bulk.number:
            second.set()
        return HEALTHY

    with fake_sink(upstream=servers.sink) as sink, sink.script.hold(Point.BEFORE_APPLY) as gate:
        sink.script.choose = choose
        running = worker(ELASTIC_URL=sink.url, OUTBOX_CONCURRENCY="2")
        gate.wait()
        load_reclaimed(scene)
        assert not second.wait(1.5), "it would take the other lane's batch with it"
        assert scene.count("processing") == BATCH, "it is not even claimed"
        gate.let_go()
        scene.finished_by(running, BATCH + 1)
        assert [len(bulk.ids) for bulk in sink.requests] == [BATCH, 1]


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
