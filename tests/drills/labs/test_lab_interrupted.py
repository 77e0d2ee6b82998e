"""A run that is ended while faults are under way: by ^C, politely, or by force. Nothing may be left."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from elasticsearch import Elasticsearch

from drills.labs.conftest import left
from processes import OUTBOXCTL, Cli, environment, eventually

OWN = ("zombie-worker", "--search", "noida")
AGAINST = ("zombie-worker", "--against", "--yes")
WITHIN_SECONDS = 40  # on a machine with much else to do


def at_work(state: Path) -> list[psutil.Process]:
    """Every process that came of a run with this state folder, but the run itself."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("OUTBOXCTL_STATE") == str(state) and "run" not in process.cmdline():
                found.append(process)
    return found


def paused(state: Path) -> bool:
    """Whether a worker stands still."""
    with suppress(psutil.Error):
        return any(process.status() == psutil.STATUS_STOPPED for process in at_work(state))
    return False


class Under:
    """A run under way."""

    def __init__(self, labs: tuple[str, ...], env: dict[str, str], cwd: Path) -> None:
        self.evidence, self.output = cwd / "evidence", cwd / "output"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [*OUTBOXCTL, "lab", "run", *labs, "--evidence", str(self.evidence)],
                env=env,
                cwd=cwd,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def end(self, *signals: signal.Signals) -> int:
        """Its exit code after these signals, one a second or so."""
        for number in signals:
            self.process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(1)  # a second order, and no echo of the first
        code = self.process.wait(WITHIN_SECONDS)
        assert "Traceback" not in self.output.read_text()
        return code

    @property
    def state(self) -> str:
        """What its evidence says of it."""
        return str(json.loads((self.evidence / "report.json").read_text())["state"])


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Under, dict[str, str]]]:
    """On services of its own: a worker stands still."""
    state = tmp_path / "state"
    env = environment(OUTBOXCTL_STATE=str(state))
    run = Under(OWN, env, tmp_path)
    eventually(lambda: paused(state), within=90, what="a fault under way")
    yield run, env
    run.process.kill()
    run.process.wait()


@pytest.fixture
def against(staging: dict[str, str], tmp_path: Path) -> Iterator[tuple[Under, dict[str, str]]]:
    """On somebody's system: a worker stands still."""
    run = Under(AGAINST, staging, tmp_path)
    eventually(lambda: paused(tmp_path / "state"), within=90, what="a fault under way")
    yield run, staging
    run.process.kill()
    run.process.wait()


def ends(*cases: tuple[list[signal.Signals], int]) -> pytest.MarkDecorator:
    """Signals, and the exit code that they lead to."""
    return pytest.mark.parametrize(
        ("signals", "code"), cases, ids=["+".join(each.name for each in signals) for signals, _ in cases]
    )


@pytest.mark.no_servers
@ends(([signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGINT], 130), ([signal.SIGKILL], -9))
def test_services_of_its_own(
    own: tuple[Under, dict[str, str]], signals: list[signal.Signals], code: int, tmp_path: Path
) -> None:
    run, env = own
    # A second ^C that comes when all is undone ends it while Python goes down: 130 to a shell as well.
    assert run.end(*signals) in {code, 128 - code}
    if code < 0:
        assert "clearing up after a run that was ended" in Cli(env, tmp_path)("chaos", "undo").stderr
    assert at_work(tmp_path / "state") == []
    assert list((tmp_path / "state").glob("outboxctl-lab-*")) == []
    if len(signals) == 1:
        assert run.state == ("interrupted" if code > 0 else "running")


def test_a_system_of_somebody(
    against: tuple[Under, dict[str, str]], tmp_path: Path, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    run, env = against
    assert run.end(signal.SIGINT) == 130
    assert at_work(tmp_path / "state") == []
    assert left(sql, engine, env["ELASTIC_INDEX"]) == []
    assert run.state == "interrupted"


def test_what_a_killed_run_left_there_is_removed_once_the_settings_lead_there(
    against: tuple[Under, dict[str, str]], tmp_path: Path, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    run, env = against
    run.end(signal.SIGKILL)
    elsewhere = env | {"DATABASE_URL": "postgresql://somebody:secret@127.0.0.1:1/other"}
    told = Cli(elsewhere, tmp_path)("chaos", "undo").stderr
    assert "secret" not in told
    assert left(sql, engine, env["ELASTIC_INDEX"]) != []
    Cli(env, tmp_path).ok("chaos", "undo")
    assert left(sql, engine, env["ELASTIC_INDEX"]) == []
    assert at_work(tmp_path / "state") == []
    assert run.state == "running"
