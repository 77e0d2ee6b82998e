"""A batch that takes several requests is finished within the grace, and given back once that is over."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from fakes import FakeSink, Point, ProxyFault, Script, fake_sink
from fakes.faults import HEALTHY, answered
from outboxctl.core.database import Database
from outboxctl.drills.proxy.passing import Bulk
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from outboxctl.worker.health import Health
from outboxctl.worker.parts import WorkerParts
from processes import Worker, eventually
from scene import Scene, blames
from servers import Servers


@contextmanager
def lane_at(
    url: str, db: Database, scene: Scene, sink: FakeSink
) -> Iterator[tuple[WorkerParts, threading.Thread]]:
    """One lane of a worker, in this process; it must come to its end."""
    settings = load(database_url=url, elastic_url=sink.url, elastic_index=scene.index)
    with closing(connect(settings)) as client:
        parts = WorkerParts(settings, db, ElasticSink(client, scene.index), Metrics(), Health(300))
        lane = threading.Thread(target=parts.lane(drain=False).run, daemon=True)
        lane.start()
        yield parts, lane
        lane.join(30)
        assert not lane.is_alive()


def test_a_batch_that_is_being_halved_is_finished(
    scene: Scene, worker: Callable[..., Worker], servers: Servers
) -> None:
    def two_at_most(bulk: Bulk) -> ProxyFault:
        return answered(413) if len(bulk.ids) > 2 else HEALTHY

    scene.load(20)
    script = Script(two_at_most)
    with fake_sink(script, upstream=servers.sink) as sink, script.hold(Point.BEFORE_APPLY) as gate:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_CONCURRENCY="1")
        gate.wait()
        running.signal()
        eventually(lambda: blames(running, "draining"), what="stopping")
        gate.let_go()
        assert running.wait() == 0
    scene.holds(20)


def test_once_the_grace_is_over_no_further_request_is_begun(
    url: str, db: Database, scene: Scene, servers: Servers
) -> None:
    """It would go on until it is killed."""
    scene.load(20)
    too_large = Script.always(answered(413))
    with fake_sink(too_large, upstream=servers.sink) as sink, too_large.hold(Point.BEFORE_APPLY) as gate:
        with lane_at(url, db, scene, sink) as (parts, _):
            gate.wait()
            parts.context.signals.stop()
            parts.context.in_flight.abandon()
            gate.let_go()
        assert len(sink.requests) == 1
    assert scene.rows("status, attempts, owner") == [("pending", 0, None)]
