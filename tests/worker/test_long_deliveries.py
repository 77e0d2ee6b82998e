"""A sink that is slow and wants small requests: the batch outlives its lease and stays ours."""

from collections.abc import Callable

from fakes import Fault, Script, fake_sink
from fakes.faults import answered
from fakes.script import Bulk
from processes import Worker
from scene import Scene
from servers import Servers

LEASE, SMALL, SECONDS = "2", 4, 0.5


def slow_and_small(bulk: Bulk) -> Fault:
    return answered(413) if len(bulk.ids) > SMALL else Fault(after=SECONDS)


def test_a_delivery_longer_than_its_lease_costs_no_attempt(
    scene: Scene, worker: Callable[..., Worker], servers: Servers
) -> None:
    """32 events are eight requests of half a second: twice the lease."""
    scene.load(32)
    with fake_sink(Script(slow_and_small), upstream=servers.sink) as sink:
        running = worker(
            ELASTIC_URL=sink.url,
            OUTBOX_LEASE_SECONDS=LEASE,
            OUTBOX_RECLAIM_INTERVAL_SECONDS="0.2",
            OUTBOX_CONCURRENCY="1",
        )
        scene.finished_by(running, 32)
    assert scene.rows("attempts") == [(1,)]
    assert running.metric("outbox_reclaimed_total") == 0
