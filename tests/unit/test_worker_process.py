"""A worker process may be a script around the real one: what cannot be passed on must reach both."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from outboxctl.scratch.worker import WorkerProcess
from processes import eventually


@pytest.fixture
def script(tmp_path: Path) -> Iterator[WorkerProcess]:
    made = WorkerProcess({}, tmp_path, command=["/bin/sh", "-c", "/bin/sleep 600; true"])
    made.start()
    yield made
    made.kill()


def test_what_a_script_started_is_stopped_and_killed_with_it(script: WorkerProcess) -> None:
    (child,) = eventually(lambda: psutil.Process(script.pid).children())
    script.send(signal.SIGSTOP)
    eventually(lambda: script.frozen and child.status() == psutil.STATUS_STOPPED)
    script.send(signal.SIGCONT)
    eventually(lambda: not script.frozen and child.status() != psutil.STATUS_STOPPED)
    script.kill()
    assert not script.running
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    script.send(signal.SIGSTOP)  # nobody's any more: no error
