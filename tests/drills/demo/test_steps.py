"""What a demo does when things do not go as planned; no servers needed."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from outboxctl.core.stats.snapshot import PipelineStatus
from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.demo import documents as demo_documents
from outboxctl.drills.demo import system as demo_system
from outboxctl.drills.demo.documents import Docstring
from outboxctl.drills.demo.steps import Steps

pytestmark = pytest.mark.no_servers
STATUSES = {"pending": 0, "processing": 0, "done": 0, "failed": 0}
EMPTY = PipelineStatus("p", STATUSES, 0, 0, 0.0, [], {}, [], None, None, None, [], None)


def standing(pending: int, processing: int, done: int) -> PipelineStatus:
    counts = {"pending": pending, "processing": processing, "done": done, "failed": 0}
    return replace(EMPTY, status=counts, lag=pending + processing)


class FakeWorker:
    starts = 0
    alive = True

    def start(self) -> None:
        self.starts += 1

    def kill(self) -> None:
        pass

    def must_live(self) -> None:
        if not self.alive:
            raise OutboxctlError("the worker ended by itself with 1")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many documents each write wrote."""
    counts: list[int] = []

    def write(_url: str, documents: list[Docstring]) -> Iterator[int]:
        counts.append(len(documents))
        yield len(documents)

    monkeypatch.setattr(demo_documents, "write", write)
    monkeypatch.setattr(demo_system, "POLL_SECONDS", 0)
    return counts


def ignore(*_: object) -> None:
    """Show nothing."""


def play(*seen: PipelineStatus) -> tuple[Steps, FakeWorker]:
    """Steps whose looks at the database return these, the last one for ever."""
    looks = deque(seen)
    worker = FakeWorker()
    system: Any = SimpleNamespace(
        worker=worker,
        settings=SimpleNamespace(require_database_url=str, elastic_index="an-index"),
        status=lambda: looks.popleft() if len(looks) > 1 else looks[0],
        wait_for_sessions=lambda: None,
    )
    screen: Any = SimpleNamespace(step=ignore, progress=ignore, ended=ignore)
    steps = Steps(system, screen)
    steps.documents, steps.written = [Docstring("a", "b", "a")] * 100, 100
    return steps, worker


def test_a_worker_that_was_too_quick_gets_the_same_work_again(written: list[int]) -> None:
    late, again = standing(0, 0, 100), standing(100, 0, 100)
    steps, worker = play(late, late, again, standing(50, 10, 140))
    steps.kill()
    assert (worker.starts, written, steps.written) == (2, [100], 200)
    assert steps.checks[0].seen == 10


def test_a_standstill_ends_the_demo(written: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_system, "STALLED_SECONDS", 0)
    steps, _ = play(standing(90, 10, 0))
    with pytest.raises(OutboxctlError, match="nothing was done"):
        steps.kill()
    assert not written
