"""An event that may have ended its worker is sent only when nothing else is in hand."""

import threading
from collections.abc import Callable

import pytest

from fakes import Point, ProxyFault, fake_sink
from fakes.faults import HEALTHY
from outboxctl.drills.proxy.tally import Bulk
from processes import Worker
from scene import Scene
from servers import Servers

BATCH = 20


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


def load_reclaimed(scene: Scene) -> None:
    """One event whose former claim ran out."""
    with scene.sql.transaction():
        scene.load(1)
        scene.sql.execute(
            "UPDATE search_outbox_events SET error_reason = 'lease_expired' WHERE status = 'pending'"
        )
