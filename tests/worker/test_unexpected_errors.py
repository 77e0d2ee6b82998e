"""An error that no rule expects costs one turn, and is in the log, in a metric and in every judgement."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broken_once import BROKEN
from invariants import unexpected_errors
from outboxctl.drills import services
from processes import Worker, eventually, start_broken_worker
from scene import Scene

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
