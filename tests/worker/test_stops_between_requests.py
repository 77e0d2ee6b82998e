"""A worker that is told to stop begins no further request, and gives back untried what it did not send."""

from collections.abc import Callable

from fakes import Point, Script, fake_sink
from fakes.faults import answered
from processes import Worker, eventually
from scene import Scene, blames
from servers import Servers


def test_a_batch_that_is_being_halved_is_given_back(
    scene: Scene, worker: Callable[..., Worker], servers: Servers
) -> None:
    scene.load(20)
    too_large = Script.always(answered(413))
    with fake_sink(too_large, upstream=servers.sink) as sink, too_large.hold(Point.BEFORE_APPLY) as gate:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_CONCURRENCY="1")
        gate.wait()
        running.signal()
        eventually(lambda: blames(running, "draining"), what="stopping")
        gate.let_go()
        assert running.wait() == 0
        assert len(sink.requests) == 1
    assert scene.rows("status, attempts, owner") == [("pending", 0, None)]
