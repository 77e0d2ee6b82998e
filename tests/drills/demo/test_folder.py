import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from outboxctl.drills.scratch import LOCK, ScratchFolder, WorkerProcess, own_folder, sweep
from outboxctl.drills.signals import SignalReceived

pytestmark = pytest.mark.no_servers


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTBOXCTL_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def end(folder: ScratchFolder, by: Exception | signal.Signals) -> None:
    """End the block after something was logged."""
    folder.log.write_text("started")
    if isinstance(by, Exception):
        raise by
    os.kill(os.getpid(), by)
    pytest.fail("no signal came")


def test_nothing_is_left_of_a_good_run(parent: Path) -> None:
    with own_folder("demo") as folder:
        folder.log.write_text("started")
        folder.succeeded = True
    assert not list(parent.iterdir())


def test_a_failed_run_leaves_its_log_even_to_the_next_run(parent: Path) -> None:
    with pytest.raises(ZeroDivisionError), own_folder("demo") as failed:
        end(failed, ZeroDivisionError())
    with own_folder("demo") as folder:
        folder.succeeded = True
    assert [path.parent.parent for path in parent.glob("*/worker-w1.log")] == [parent]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_unwinds_and_leaves_nothing(parent: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(SignalReceived) as caught, own_folder("demo") as folder:
        end(folder, number)
    assert caught.value.code == 128 + number
    assert not list(parent.iterdir())
    assert signal.getsignal(number) == before


SPEAKS_TO_THE_END = """
import sys, time
from outboxctl.drills.scratch import own_folder
from outboxctl.drills.signals import SignalReceived
try:
    with own_folder("demo"):
        print("begun", flush=True)
        time.sleep(60)
except SignalReceived as end:
    print("what a closed terminal cannot show", flush=True)
    print("nor this", file=sys.stderr, flush=True)
    sys.exit(end.code)
"""


def test_a_closed_terminal_is_no_error_that_stops_the_rest(parent: Path) -> None:
    ours, theirs = pty.openpty()
    take_terminal = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    command = [sys.executable, "-c", take_terminal + SPEAKS_TO_THE_END]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as run:
        os.close(theirs)
        assert b"begun" in os.read(ours, 100)
        os.close(ours)
        assert run.wait(20) == 128 + signal.SIGHUP
    assert not list(parent.iterdir())


def test_workers_end_with_the_folder_and_nobody_else_in_it() -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with own_folder("demo") as folder:
        folder.succeeded = True
        somebody = subprocess.Popen(sleep, cwd=folder.path)
        worker = WorkerProcess(os.environ, folder.path, command=sleep)
        worker.start()
    assert somebody.poll() is None
    assert not worker.running
    somebody.kill()
    somebody.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_swept(parent: Path) -> None:
    mine, trap = parent / "mine", parent / "outboxctl-demo-trap"
    trap.mkdir(parents=True)
    mine.touch()
    (trap / LOCK).symlink_to(mine)
    os.chown(trap, 65_534, 65_534)
    sweep("demo")
    assert trap.exists()
