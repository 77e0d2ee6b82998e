"""A worker that a wrapper starts (`uv run`, a shell script): what kills or pauses the one meets the other."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from outboxctl.drills.scratch.worker import WorkerProcess
from processes import eventually

pytestmark = pytest.mark.no_servers


def test_faults_reach_the_worker_behind_a_wrapper(tmp_path: Path) -> None:
    worker = WorkerProcess(os.environ, tmp_path, command=["sh", "-c", "sleep 60; true"])
    worker.start()
    eventually(lambda: psutil.Process(worker.pid).children())
    (wrapped,) = psutil.Process(worker.pid).children()
    worker.send(signal.SIGSTOP)
    eventually(lambda: wrapped.status() == psutil.STATUS_STOPPED)
    worker.kill()
    eventually(lambda: not wrapped.is_running() or wrapped.status() == psutil.STATUS_ZOMBIE)
