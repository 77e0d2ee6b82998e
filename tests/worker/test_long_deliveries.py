"""A delivery in many requests may take nearly a lease and a half: what is in hand is prolonged meanwhile."""

from collections.abc import Callable

import pytest

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import answered
from outboxctl.drills.proxy.passing import Bulk
from processes import Worker
from scene import Scene
from servers import Servers

LEASE, EACH, TOTAL = 4.0, 0.3, 12  # seconds of a lease and of one event's request; events
ONE_ONLY, LATE = answered(413), ProxyFault(after=EACH)


def one_by_one(bulk: Bulk) -> ProxyFault:
    """A sink that takes one event a request, and its time."""
    return LATE if len(bulk.ids) == 1 else ONE_ONLY


@pytest.mark.real_engine
def test_each_event_is_sent_once(scene: Scene, worker: Callable[..., Worker], servers: Servers) -> None:
    """With the first lease alone, requests after three quarters of it would be cut off, and sent again."""
    assert LEASE * 0.75 < TOTAL * EACH < LEASE
    scene.load(TOTAL)
    with fake_sink(Script(one_by_one), upstream=servers.sink) as sink:
        running = worker(ELASTIC_URL=sink.url, OUTBOX_LEASE_SECONDS=str(LEASE), OUTBOX_CONCURRENCY="1")
        scene.finished_by(running, TOTAL)
        assert len([bulk for bulk in sink.requests if len(bulk.ids) == 1]) == TOTAL
    assert scene.rows("attempts") == [(1,)]
