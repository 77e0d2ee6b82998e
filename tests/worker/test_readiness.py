"""The probes: quick to say what is wrong and that it is over, and free of charge for both ends."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from fakes import fake_sink
from fakes.postgres_proxy import Proxy
from processes import Worker, eventually
from scene import Scene, blames, ready
from servers import Servers

PATHS = ("/readyz", "/healthz", "/metrics")
LOOKS = 3  # a second: two at the index itself, one at its health


def test_readiness_follows_the_sink_within_seconds(worker: Callable[..., Worker], servers: Servers) -> None:
    with fake_sink(upstream=servers.sink) as sink:
        port = sink.server_port
        running = worker(ELASTIC_URL=sink.url)
        eventually(lambda: ready(running), what="started")
    eventually(lambda: blames(running, "sink", "connect"), within=2, what="said so")
    with fake_sink(upstream=servers.sink, port=port):
        eventually(lambda: ready(running), within=5, what="well again")


def test_a_ready_worker_says_when_something_last_succeeded(
    worker: Callable[..., Worker], scene: Scene
) -> None:
    running = worker()
    eventually(lambda: ready(running), what="started")
    assert json.loads(running.get("/readyz")[1]) == {"ready": True, "last_success_seconds": None}
    scene.load(3)
    scene.holds(3)
    eventually(lambda: running.metric("outbox_processed_total") == 3, what="counted")
    body = json.loads(running.get("/readyz")[1])
    assert set(body) == {"ready", "last_success_seconds"}
    assert 0 <= body["last_success_seconds"] < 60


def test_a_worker_that_is_not_ready_says_what_fails_and_nothing_else(
    worker: Callable[..., Worker], database_proxy: Proxy
) -> None:
    running = worker(DATABASE_URL=database_proxy.url)
    eventually(lambda: ready(running), what="started")
    database_proxy.refuse()
    eventually(lambda: blames(running, "database", "connection refused"), what="said so")
    body = json.loads(running.get("/readyz")[1])
    assert set(body) == {"ready", "failing"}
    assert body["ready"] is False
    assert set(body["failing"]) == {"database"}


def test_a_thousand_probes_reach_neither_end(
    worker: Callable[..., Worker], servers: Servers, database_proxy: Proxy
) -> None:
    with fake_sink(upstream=servers.sink) as sink:
        ends = {"ELASTIC_URL": sink.url, "DATABASE_URL": database_proxy.url}
        running = worker(**ends, OUTBOX_CONCURRENCY="1", OUTBOX_NOTIFY="off")
        eventually(lambda: ready(running), what="started")
        asked, started = len(sink.lookups), monotonic()
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda n: running.get(PATHS[n % 3])[0], range(1000)))
        assert statuses == [200] * 1000
        assert len(sink.lookups) - asked <= LOOKS * (monotonic() - started) + 1
        assert database_proxy.accepted <= 4, "a lane's, and at most three of maintenance and looks"
