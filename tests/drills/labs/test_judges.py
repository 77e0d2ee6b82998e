"""What a lab judges by can fail: a traceback, an event that is gone, a rebuild that ends in an error."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from broken_once import PROGRAM
from outboxctl.drills.labs.clustered import Background
from outboxctl.drills.scratch.worker import WorkerProcess
from processes import environment, eventually

SLOW = pytest.mark.slow(reason="runs a whole lab on servers of its own")
LOSING = Path(__file__).with_name("losing.py")
REBUILD = "outboxctl.drills.labs.catalogue.rebuild_under_load:apply"


def unmet(folder: Path, lab: str, *flags: str, target: str = "builtins:input") -> list[str]:
    """The checks that a lab did not meet, run on an imitation; one function of `outboxctl` is broken."""
    command = [sys.executable, str(PROGRAM), target, "lab", "run", lab, "--search", "noida", "--json"]
    env = environment(OUTBOXCTL_STATE=str(folder / "state"))
    done = subprocess.run(
        [*command, *flags], env=env, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 4, done.stdout + done.stderr
    (record,) = json.loads(done.stdout)["records"]
    assert record["verdict"] == "FAIL"
    return [check["name"]["en"] for check in record["checks"] if check["verdict"] != "OK"]


@SLOW
@pytest.mark.no_servers
def test_an_unexpected_error_in_a_lane_fails_a_lab(tmp_path: Path) -> None:
    lane = [sys.executable, str(PROGRAM), "outboxctl.worker.claimer:Claimer.claim", "worker"]
    found = unmet(tmp_path, "bad-op", "--worker", shlex.join(lane))
    assert found == ["no traceback in a worker's log"]


@SLOW
@pytest.mark.no_servers
def test_a_rebuild_that_ends_in_an_error_fails_its_lab(tmp_path: Path) -> None:
    """It was inconclusive, whatever the rebuild did."""
    assert unmet(tmp_path, "rebuild-under-load", target=REBUILD) == ["how the rebuild ended"]


@SLOW
@pytest.mark.no_servers
def test_events_that_are_gone_fail_a_lab_whose_events_triggers_write(tmp_path: Path) -> None:
    """Their number was compared with itself."""
    losing = shlex.join([sys.executable, str(LOSING)])
    assert "events of the storm that are gone" in unmet(
        tmp_path, "projection-child-storm", "--worker", losing
    )


@pytest.mark.no_servers
def test_a_thread_that_dies_is_no_thread_that_saw_nothing() -> None:
    background = Background("odd", lambda: 1 / 0, 0.001)
    eventually(lambda: not background._thread.is_alive())
    with pytest.raises(ZeroDivisionError):
        background.stop()


@pytest.mark.no_servers
def test_a_worker_that_ended_by_itself_is_remembered_once_the_next_one_runs(tmp_path: Path) -> None:
    sleeping, failing = "import time; time.sleep(60)", "raise SystemExit(3)"
    command = [sys.executable, "-c", failing]
    worker = WorkerProcess(environment(), tmp_path, command=command)
    worker.start()
    eventually(lambda: worker.deaths == [3])
    worker.kill()
    worker._command = [sys.executable, "-c", sleeping]
    worker.start()
    assert worker.deaths == [3]
    worker.kill()
    assert worker.deaths == [3], "whoever is killed has not ended by itself"
