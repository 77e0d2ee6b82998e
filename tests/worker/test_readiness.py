"""The probes: quick to say what is wrong and that it is over, and free for both ends. Errors of our own."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest

from broken_once import BROKEN
from fakes import fake_sink
from fakes.postgres_proxy import Proxy
from invariants import unexpected_errors
from outboxctl.drills import services
from processes import Worker, eventually, start_broken_worker
from scene import Scene, blames, ready
from servers import Servers

PATHS = ("/readyz", "/healthz", "/metrics")
LOOKS = 2  # a second, at the index itself


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


LANE = "outboxctl.worker.lane.lane:Lane._process"
BROKEN_PARTS = {
    "lane-0": LANE,
    "maintenance": "outboxctl.worker.upkeep.maintenance:Maintenance.turn",
    "lease-renewal": "outboxctl.worker.upkeep.heartbeat:Renewal.turn",
}
Broken = Callable[[str], Worker]


@pytest.fixture
def broken(env: dict[str, str], tmp_path: Path) -> Iterator[Broken]:
    """Starts a worker of which one method raises at its first call."""
    running: list[Worker] = []

    def start(target: str) -> Worker:
        lease = {"OUTBOX_LEASE_SECONDS": "2", "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.2"}
        lease["OUTBOX_CONCURRENCY"] = "1"
        running.append(start_broken_worker(env | lease, tmp_path, services.fresh_port(), target))
        return running[-1]

    yield start
    for each in running:
        each.end()


@pytest.mark.parametrize("thread", BROKEN_PARTS)
def test_it_is_logged_with_its_traceback_and_counted(scene: Scene, broken: Broken, thread: str) -> None:
    if thread == "lane-0":
        scene.load(3)
    worker = broken(BROKEN_PARTS[thread])
    eventually(lambda: worker.metric("outbox_unexpected_errors_total") == 1, within=20, what="counted")
    (line,) = unexpected_errors(worker.log.read_text())
    assert f'"thread": "{thread}' in line  # one of its threads
    assert f"RuntimeError: {BROKEN}" in line
    assert "Traceback (most recent call last):" in line
    assert "in broken" in line, "the traceback ends where it was raised"
    if thread == "lane-0":
        scene.holds(3)
