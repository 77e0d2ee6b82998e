"""A benchmark that is ended early, politely or by force, leaves nothing in somebody's system."""

import json
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from elasticsearch import Elasticsearch

from drills.bench.conftest import left
from processes import OUTBOXCTL, Cli, eventually

LONG = ("bench", "--events", "1000", "--repeat", "50", "--yes")
SEARCH = ("--concurrency", "1,2", "--bulk-size", "100")
WITHIN_SECONDS = 60


class Under:
    """A run under way."""

    def __init__(self, env: dict[str, str], cwd: Path, *flags: str) -> None:
        self.out, self.err = cwd / "out", cwd / "err"
        with self.out.open("w") as out, self.err.open("w") as err:
            command = [*OUTBOXCTL, *LONG, *flags]
            self.process = subprocess.Popen(
                command, env=env, cwd=cwd, stdout=out, stderr=err, start_new_session=True
            )

    def reaches(self, step: str) -> None:
        """Wait until it says so."""
        eventually(lambda: step in self.err.read_text(), within=120, what=step)

    def end(self, number: signal.Signals) -> int:
        """Its exit code after this signal."""
        self.process.send_signal(number)
        code = self.process.wait(WITHIN_SECONDS)
        assert "Traceback" not in self.err.read_text()
        return code


def workers(state: Path) -> list[psutil.Process]:
    """Workers that came of a run with this state folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("OUTBOXCTL_STATE") == str(state) and "worker" in process.cmdline():
                found.append(process)
    return found


@pytest.mark.slow(reason="measures for as long as a benchmark must")
@pytest.mark.parametrize("step", ["S, the sink alone", "P, claim and settle", "E, the worker"])
def test_before_there_is_a_result(step: str, user_system: dict[str, str], tmp_path: Path) -> None:
    run = Under(user_system, tmp_path)
    run.reaches(f"warm-up: {step}")
    assert run.end(signal.SIGTERM) == 143
    assert run.out.read_text() == ""
    assert workers(tmp_path / "state") == []


@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_what_was_measured_is_shown(user_system: dict[str, str], tmp_path: Path) -> None:
    run = Under(user_system, tmp_path)
    run.reaches("2 of 50: P")
    assert run.end(signal.SIGINT) == 130
    text = run.out.read_text()
    assert "Interrupted: this is what was measured until then." in text
    assert "E: worker, end to end" in text
    assert " of 50 repetitions" in text


@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_of_a_search_that_did_not_end_nothing_is_called_the_best(
    user_system: dict[str, str], tmp_path: Path
) -> None:
    run = Under(user_system, tmp_path, *SEARCH, "--json")
    run.reaches("search 1 of 50: 2 lanes")
    assert run.end(signal.SIGINT) == 130
    report = json.loads(run.out.read_text())
    assert report["interrupted"]
    assert report["setting"] is None
    assert report["figures"] == {}
    assert [len(cell["e"]) for cell in report["cells"]] == [1, 0]


@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_what_a_killed_run_left_is_removed_by_the_next(
    user_system: dict[str, str], tmp_path: Path, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    run = Under(user_system, tmp_path)
    run.reaches("E, the worker")
    eventually(lambda: workers(tmp_path / "state"), what="a worker")
    run.end(signal.SIGKILL)
    assert left(sql, engine, user_system["ELASTIC_INDEX"]) != []
    done = Cli(user_system, tmp_path)("bench")  # which asks, and nobody answers
    assert done.returncode == 2
    assert "undone, for whoever began it is gone: the schema outboxctl_bench_" in done.stderr
    assert workers(tmp_path / "state") == []
