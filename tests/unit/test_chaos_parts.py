"""Where faults may be caused, what is a worker, and that a stopped sink is started again."""

import os
import signal
from pathlib import Path

import psutil
import pytest
import typer

from outboxctl.cli.app import app
from outboxctl.domain.errors import InconclusiveError, UsageError
from outboxctl.drills.faults import engine, records
from outboxctl.drills.faults.gate import allow, local
from outboxctl.drills.faults.ledger import Ledger
from outboxctl.drills.faults.processes import runs_worker
from outboxctl.drills.faults.records import Fault
from outboxctl.drills.scratch import WorkerProcess
from outboxctl.settings import load
from processes import eventually

pytestmark = pytest.mark.no_servers
URL = "http://127.0.0.1:9200"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTBOXCTL_STATE", str(tmp_path))
    for name in ("OUTBOX_ENV", "WORDLOOM_ENV", "DATABASE_URL", "ELASTIC_URL", "OUTBOX_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("environment", ["dev", "test", "sandbox"])
def test_faults_are_for_these(environment: str) -> None:
    allow(load(environment=environment), "stop it", sure=False)


def test_another_machine_needs_a_word_and_no_secret_is_shown() -> None:
    given = load(environment="dev", elastic_url=f"{URL},https://me:hidden@search.example:9200")
    allow(given, "stop it", sure=True)
    with pytest.raises(UsageError, match=r"not on this machine: https://me:\*\*\*@search\.example:9200"):
        allow(given, "stop it", sure=False)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        (URL, True),
        ("http://localhost:9200", True),
        ("http://[::1]:9200", True),
        ("http://127.9.9.9:1", True),
        ("https://user:localhost@[::1]:9200", True),
        ("http://LOCALHOST:9200", True),
        ("http://localhost.example:9200", False),
        ("http://localhost@example.com:9200", False),
        ("http://10.0.0.1:9200", False),
        ("http://0.0.0.0:9200", False),
        ("http://127.0.0.1.nip.io:9200", False),
    ],
)
def test_this_machine_is_known_by_its_name_alone(url: str, here: bool) -> None:
    assert local(url) is here


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("/opt/venv/bin/outboxctl worker --drain", True),
        ("/usr/bin/python3.12 /opt/venv/bin/outboxctl worker", True),
        ("python -m outboxctl worker", True),
        ("python -X dev -m outboxctl worker", True),
        ("outboxctl --database-url postgresql://h/x --elastic-index=x worker --drain", True),
        ("outboxctl --elastic-index worker status", False),
        ("python -m outboxctl status", False),
        ("python -m outboxctl", False),
        ("vim outboxctl worker", False),
        ("python other.py", False),
        ("sleep 60", False),
        ("", False),
    ],
)
def test_a_worker_is_known_by_its_command_line(line: str, is_one: bool) -> None:
    assert runs_worker(line.split()) is is_one


def run(*args: str) -> None:
    typer.main.get_command(app)(["chaos", *args], standalone_mode=False)


def test_what_cannot_be_undone_here_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """A worker that was paused on a machine with the same state folder."""
    facts = {"pid": 1, "born": 1.0, "host": "elsewhere"}
    fault = Fault("worker-paused", "worker \x1b[31m is paused", facts, host="elsewhere", pid=1, born=1.0)
    records.folder().mkdir()
    records.save(records.folder(), [fault])
    with pytest.raises(UsageError, match="process 1 is on elsewhere"):
        run("undo")
    run("undo", "--dry-run")
    shown = capsys.readouterr()
    assert fault.id in shown.out
    assert "\x1b" not in shown.out + shown.err
    assert records.load(records.folder()) == [fault]


def test_what_was_not_the_sink_is_mended_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(engine, "run_command", lambda _, command, *__: told.append(command))
    monkeypatch.setattr(engine, "answers", lambda _: True)
    monkeypatch.setattr(engine, "AWAY_SECONDS", 0)
    monkeypatch.setattr(engine, "ENDING_SECONDS", 0)
    planned = engine.stop(engine.SinkControl(stop_command="no", start_command="go"), URL, print)
    with pytest.raises(InconclusiveError, match="still answers"), Ledger(load()).holding(*planned):
        pass
    assert told == ["no", "go"]


def test_faults_reach_the_worker_behind_a_wrapper(tmp_path: Path) -> None:
    worker = WorkerProcess(os.environ, tmp_path, command=["sh", "-c", "sleep 60; true"])
    worker.start()
    eventually(lambda: psutil.Process(worker.pid).children())
    (wrapped,) = psutil.Process(worker.pid).children()
    worker.send(signal.SIGSTOP)
    eventually(lambda: wrapped.status() == psutil.STATUS_STOPPED)
    worker.kill()
    eventually(lambda: not wrapped.is_running() or wrapped.status() == psutil.STATUS_ZOMBIE)
