"""A signal stops claims at once; what was claimed before is finished, or given back and counted."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from fakes import FakeSink, Point, Script, fake_sink
from fakes.faults import answered
from fakes.postgres_proxy import Do, Proxy
from outboxctl.core.database import Database
from outboxctl.settings import load
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from outboxctl.worker.daemon import Daemon
from outboxctl.worker.wiring import WorkerParts
from processes import Worker, eventually
from scene import Scene
from servers import Servers
from worker_parts import make_parts, running_lanes

Start = Callable[..., Worker]
CLAIM = "SET status = 'processing'"


def last_words(stopped: Worker) -> dict[str, int]:
    """What it says of its end."""
    lines = [json.loads(line) for line in stopped.log.read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "worker stopped"]
    return {name: line[name] for name in ("done", "released")}


@pytest.mark.parametrize("mode", [(), ("--drain",)], ids=["daemon", "drain"])
def test_a_batch_that_is_being_claimed_is_still_delivered(
    scene: Scene, worker: Start, database_proxy: Proxy, mode: tuple[str, ...]
) -> None:
    scene.load(20)
    claim = database_proxy.on("COMMIT", Do.HOLD_ANSWER, within=CLAIM)
    running = worker(*mode, DATABASE_URL=database_proxy.url, OUTBOX_CONCURRENCY="1", OUTBOX_BULK_SIZE="10")
    eventually(claim.reached.is_set, what="claimed")
    running.signal(signal.SIGTERM)
    eventually(lambda: "draining" in running.get("/readyz")[1], what="stopping")
    claim.released.set()
    assert running.wait() == 0
    assert last_words(running) == {"done": 10, "released": 0}
    assert scene.rows("status, attempts") == [("done", 1), ("pending", 0)], "no second batch"
    assert scene.count("done") == 10


def test_the_handler_waits_for_no_lock(db: Database) -> None:
    """A signal may come while its own thread holds it: then the handler would wait for itself."""
    daemon = Daemon(make_parts(db))
    signals = daemon.signals
    with signals._changed:
        handler = threading.Thread(target=daemon._on_signal, args=(signal.SIGTERM, None), daemon=True)
        handler.start()
        handler.join(10)
        assert not handler.is_alive()
    assert signals.stopping, "without a tick"


def test_no_claim_is_begun_after_the_handler(db: Database, scene: Scene) -> None:
    """Nobody has come round to wake those who wait yet; lanes look themselves."""
    scene.load(5)
    parts = make_parts(db)
    parts.context.signals.request_stop()
    lane = parts.lane(drain=True)
    lane.run()
    assert lane.error is None
    assert scene.rows("status, attempts") == [("pending", 0)]


@contextmanager
def lane_at(db: Database, scene: Scene, sink: FakeSink) -> Iterator[WorkerParts]:
    """One lane of a worker, in this process; it must come to its end."""
    with closing(connect(load(elastic_url=sink.url))) as client:
        parts = make_parts(db, ElasticSink(client, scene.index), elastic_index=scene.index)
        with running_lanes(parts):
            yield parts


def test_once_the_grace_is_over_no_further_request_is_begun(
    db: Database, scene: Scene, servers: Servers
) -> None:
    """It would go on until it is killed."""
    scene.load(20)
    too_large = Script.always(answered(413))
    with fake_sink(too_large, upstream=servers.sink) as sink, too_large.hold(Point.BEFORE_APPLY) as gate:
        with lane_at(db, scene, sink) as parts:
            gate.wait()
            parts.context.signals.stop()
            parts.context.in_flight.abandon()
            gate.let_go()
        assert len(sink.requests) == 1
    assert scene.rows("status, attempts, owner") == [("pending", 0, None)]
