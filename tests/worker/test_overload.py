"""A sink that says 429: it gets its pause, fewer events at a time, and all of them in the end."""

from collections.abc import Callable
from itertools import pairwise

from fakes import Script, fake_sink
from fakes.faults import refused
from processes import Worker, eventually
from scene import Scene
from servers import Servers

BUSY = refused(429, "es_rejected_execution_exception", "busy", Retry_After="1")
LIMIT = "outbox_inflight_limit_events"


def test_an_overloaded_sink_is_left_alone_and_then_given_less(
    scene: Scene, worker: Callable[..., Worker], servers: Servers
) -> None:
    scene.load(2_000)
    with fake_sink(Script.of(BUSY, BUSY, BUSY), upstream=servers.sink) as sink:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_BULK_SIZE="100", OUTBOX_CONCURRENCY="1")
        eventually(lambda: 0 < running.metric(LIMIT) < 100, what="fewer at a time")
        scene.finished_by(running, 2_000)
    refusals, first = sink.requests[:3], sink.requests[3]
    assert all(later.at - earlier.at >= 0.9 for earlier, later in pairwise([*refusals, first]))
    assert [len(bulk.ids) for bulk in sink.requests[:4]] == [100, 50, 25, 12]
    assert running.metric(LIMIT) > 12, "and more again as it copes"
    assert running.metric("outbox_failed_total", reason="rate_limited") == 175
