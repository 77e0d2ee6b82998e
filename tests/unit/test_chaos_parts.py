"""Where faults may be caused, what is a worker, and which way a sink is stopped."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
import typer
from typer.testing import CliRunner

from outboxctl.cli.app import app
from outboxctl.cli.chaos import hold
from outboxctl.cli.chaos.ledger import undo_leftovers
from outboxctl.cli.chaos.sink_control_options import chosen
from outboxctl.domain.errors import InconclusiveError, UsageError
from outboxctl.drills.faults import engine, processes, records, sink, sink_controls
from outboxctl.drills.faults.gate import allow, local
from outboxctl.drills.faults.ledger import Ledger
from outboxctl.drills.faults.records import Fault, PlannedFault
from outboxctl.drills.faults.workers import runs_worker
from outboxctl.settings import load

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


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({}, "nothing says that this is not production"),
        ({"environment": "prod"}, "this is prod"),
        ({"environment": "dev", "read_only": True}, "OUTBOX_READ_ONLY is set"),
    ],
)
def test_nobody_is_sure_enough_for_the_others(flags: dict[str, object], why: str) -> None:
    for sure in (False, True):
        with pytest.raises(UsageError, match=f"{why}: refusing to stop it"):
            allow(load(**flags), "stop it", sure=sure)


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


@pytest.mark.parametrize(
    ("flags", "made"),
    [
        ({"unit": "es"}, sink_controls.Systemd("es")),
        ({"compose_file": "f", "service": "es"}, sink_controls.Compose("f", "es")),
        ({"pid_file": "p", "start_command": "go"}, sink_controls.PidFile("p", "go")),
        ({"stop_command": "no", "start_command": "go"}, sink_controls.Commands("no", "go")),
        ({"means": "systemd", "unit": "es", "pid_file": "p"}, sink_controls.Systemd("es")),
    ],
)
def test_the_flags_say_which_means(flags: dict[str, str], made: sink_controls.SinkControl) -> None:
    found = chosen("stop", URL, {"means": "auto"} | flags)
    assert found == made
    assert sink_controls.from_facts(sink_controls.facts(found)) == made, "as the ledger keeps it"


@pytest.mark.parametrize(
    ("verb", "flags", "why"),
    [
        ("stop", {}, "did not start the sink"),
        ("stop", {"means": "sistemd"}, "unknown means"),
        ("stop", {"unit": "a", "pid_file": "b"}, "flags of pid-file and of systemd"),
        ("stop", {"pid_file": "b"}, "needs --start-command"),
        ("stop", {"compose_file": "b"}, "needs --service"),
        ("stop", {"stop_command": "b"}, "needs --start-command"),
        ("pause", {"stop_command": "a", "start_command": "b"}, "cannot pause"),
    ],
)
def test_what_is_not_said_is_asked_for(verb: str, flags: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        chosen(verb, URL, {"means": "auto"} | flags)


def run(*args: str) -> None:
    typer.main.get_command(app)(["chaos", *args], standalone_mode=False)


@pytest.fixture
def elsewhere() -> Fault:
    """A worker that was paused on a machine with the same state folder."""
    facts = {"pid": 1, "born": 1.0, "host": "elsewhere"}
    fault = Fault("worker-paused", "worker \x1b[31m is paused", facts, host="elsewhere", pid=1, born=1.0)
    records.folder().mkdir()
    records.save(records.folder(), [fault])
    return fault


def test_what_cannot_be_undone_here_stays_until_it_is_forgotten(
    elsewhere: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="process 1 is on elsewhere"):
        run("undo", "--all")
    run("list")
    shown = capsys.readouterr()
    assert elsewhere.id in shown.out
    assert "\x1b" not in shown.out + shown.err
    run("undo", "--forget", elsewhere.id)
    assert records.load(records.folder()) == []


@pytest.mark.parametrize("args", [[], ["--all", "x"], ["nothing-like-it"], ["\x1b[31m"]])
@pytest.mark.usefixtures("elsewhere")
def test_undo_wants_to_know_which(args: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        run("undo", *args)
    assert "\x1b" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("start", "said", "kept"),
    [("true", "was started, and does not answer yet", False), ("sleep 60", "did not end within 0.3 s", True)],
)
def test_a_sink_that_does_not_come_back_keeps_no_other_command_waiting(
    start: str, said: str, kept: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "HURRY_SECONDS", 0.3)
    monkeypatch.setattr(sink, "answers", lambda _: False)
    facts = {"sink": URL, **sink_controls.facts(sink_controls.Commands("true", start))}
    records.folder().mkdir()
    records.save(
        records.folder(), [Fault(engine.STOPPED, "it is stopped", facts, pid=2**30, born=1.0, seen=True)]
    )
    began = monotonic()
    undo_leftovers(load)
    assert monotonic() - began < 5
    assert said in " ".join(capsys.readouterr().err.split())
    assert records.any_active() is kept


@pytest.mark.parametrize("begin", [engine.stop, engine.pause])
def test_what_was_not_the_sink_is_mended_at_once(
    begin: Callable[..., PlannedFault], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(processes, "run", lambda command, *_: told.append(command[4]))
    monkeypatch.setattr(sink, "answers", lambda _: True)
    monkeypatch.setattr(sink, "AWAY_SECONDS", 0)
    with pytest.raises(InconclusiveError, match="still answers"):
        Ledger(load()).begin(*begin(sink_controls.Compose("other.yml", "es"), URL, print))
    assert told in (["stop", "start"], ["pause", "unpause"])


def test_a_stop_whose_effect_nobody_saw_is_undone_while_the_sink_still_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(processes, "run", lambda command, *_: told.append(command[0]))
    monkeypatch.setattr(sink, "answers", lambda _: True)
    kept = Path("kept")

    def killed(_: str) -> None:
        kept.write_bytes((records.folder() / records.FILE).read_bytes())

    cause = engine.stop(sink_controls.Commands("no", "go"), URL, print)
    monkeypatch.setattr(sink, "wait_away", killed)
    fault = replace(cause.fault, pid=2**30, born=1.0)
    Ledger(load()).begin(fault, cause.begin)
    Ledger(load()).recover()
    assert told == ["no"], "it was seen away, and answers again: somebody has started it"
    records.save(records.folder(), [Fault.from_json(each) for each in json.loads(kept.read_text())])
    Ledger(load()).recover()
    assert told == ["no", "go"]
    assert not records.any_active()


def test_what_was_left_behind_can_be_undone_by_its_id() -> None:
    facts = {"pid": 2**30, "born": 1.0, "host": socket.gethostname()}
    left = Fault("worker-paused", "w1 is paused", facts, pid=2**30, born=1.0)
    records.folder().mkdir()
    records.save(records.folder(), [left])
    done = CliRunner().invoke(app, ["chaos", "undo", left.id])
    assert done.exit_code == 0, done.output
    assert "undone: w1 is paused" in done.output
    assert not records.any_active()


@pytest.mark.parametrize("content", [b"hunter2", b"\xffhunter2"])
def test_a_file_that_is_no_pid_file_is_not_repeated(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(UsageError, match="it is no pid file") as caught:
        sink_controls.PidFile(str(tmp_path / "key")).pid()
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_pid_file_that_has_changed_meanwhile_ends_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sink, "answers", lambda _: True)
    (tmp_path / "pid").write_text(str(os.getpid()))
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with socket.create_server(("127.0.0.1", 0)) as ours, subprocess.Popen(sleep) as bystander:
        url = f"http://127.0.0.1:{ours.getsockname()[1]}"
        cause = engine.stop(sink_controls.PidFile(str(tmp_path / "pid"), "true"), url, print)
        (tmp_path / "pid").write_text(str(bystander.pid))
        with pytest.raises(UsageError, match="does not listen"):
            cause.begin()
        assert bystander.poll() is None
        bystander.kill()


def test_a_signal_that_comes_after_the_fault_is_left_there_does_not_undo_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold, "opened", Ledger)
    came = iter([0, 15, 15])  # none when it is decided, then one
    planned = PlannedFault(Fault("odd", "it is odd", {}), lambda: None)
    hold._hold(load(), [planned], None, lambda: next(came, 15), json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["undone"], report["undone_after"]) == (False, None)
    assert [each.what for each in Ledger(load()).faults()] == ["it is odd"]
