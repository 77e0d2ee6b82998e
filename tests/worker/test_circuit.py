"""The circuit under `hold`: only a word of the sink closes it, and it closes where nothing is due."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from fakes import FakeSink, ProxyFault, Script, fake_sink
from fakes.faults import refused
from outboxctl.core.database import Database
from outboxctl.domain.flow import PROBE_EVENTS
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from outboxctl.worker.health import Health
from outboxctl.worker.wiring import WorkerParts
from processes import eventually
from scene import Scene

HOLD = {
    "outage_policy": "hold",
    "lease_seconds": 1.0,
    "base_backoff_seconds": 0.1,
    "max_backoff_seconds": 0.2,
    "max_attempts": 100,
    "concurrency": 1,
}


@pytest.fixture
def sink() -> Iterator[FakeSink]:
    with fake_sink(Script.always(refused(503))) as sink:
        yield sink


@contextmanager
def lane_at_work(url: str, db: Database, sink: FakeSink) -> Iterator[WorkerParts]:
    """One lane of a worker, in this process."""
    settings = load(database_url=url, elastic_url=sink.url, elastic_index="any", **HOLD)
    with closing(connect(settings)) as client:
        parts = WorkerParts(settings, db, ElasticSink(client, "any"), Metrics(), Health(300))
        lane = threading.Thread(target=parts.lane(drain=False).run)
        lane.start()
        try:
            yield parts
        finally:
            parts.context.signals.stop()
            parts.context.in_flight.abandon()
            lane.join(10)


def test_silence_does_not_close_it(url: str, db: Database, scene: Scene, sink: FakeSink) -> None:
    scene.load(50)
    with lane_at_work(url, db, sink) as parts:
        eventually(lambda: parts.flow.away, what="opened by a word of the sink")
        sink.script = Script.always(ProxyFault(before=60))
        probes = len(sink.requests)
        eventually(lambda: len(sink.requests) >= probes + 3, what="probes without an answer")
        assert parts.flow.away
        sizes = [len(bulk.ids) for bulk in sink.requests[probes + 1 :]]
        assert max(sizes) <= PROBE_EVENTS, "no whole batch is tried"


def test_where_nothing_is_due_it_closes(url: str, db: Database, scene: Scene, sink: FakeSink) -> None:
    """Another worker may have delivered the rest: this one must not stay unready for ever."""
    scene.load(1)
    with lane_at_work(url, db, sink) as parts:
        eventually(lambda: parts.flow.away, what="opened")
        taken = "UPDATE search_outbox_events SET status = 'done' WHERE status = 'pending'"
        eventually(lambda: scene.sql.execute(taken).rowcount, what="taken by somebody else")
        eventually(lambda: not parts.flow.away, what="closed")
        assert "; not seen for " in str(parts.context.health.failing().get("sink")), "it ends by itself"
