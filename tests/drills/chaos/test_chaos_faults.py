"""Each fault on a real system: it takes hold, it is undone, and nothing but what was meant is touched."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills import services
from outboxctl.drills.faults import guest, records
from outboxctl.drills.faults.ledger import Ledger
from outboxctl.drills.scratch import WorkerProcess
from outboxctl.settings import load
from processes import OUTBOXCTL, Cli, eventually

pytestmark = pytest.mark.slow(reason="workers and search engines of its own, stopped and started")

# A sink of a kind: answers, and leaves its pid in a file. It goes to the background as a server would.
SINK = """\
import http.server, os, sys
if os.fork():
    os._exit(0)
os.setsid()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
open(sys.argv[2], "w").write(str(os.getpid()))
server.serve_forever()
"""
ROW = """INSERT INTO outbox_workers
SELECT gen_random_uuid(), %s, %s, %s, '1', now() - make_interval(secs => %s), now(), 0, 'count',
    false"""


@pytest.fixture
def chaos(cli: Cli, tmp_path: Path) -> Cli:
    """Runs commands where faults are allowed, with a ledger of its own."""
    cli.env |= {"OUTBOXCTL_STATE": str(tmp_path / "state"), "OUTBOX_ENV": "test"}
    return cli


def holding(chaos: Cli, *args: str) -> "subprocess.Popen[str]":
    """A command that holds a fault."""
    return subprocess.Popen(
        [*OUTBOXCTL, "chaos", *args],
        env=chaos.env,
        cwd=chaos.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def under_way(chaos: Cli) -> list[str]:
    """The kinds in the ledger, read without a command, which might undo them."""
    return [each.kind for each in records.load(records.folder(Path(chaos.env["OUTBOXCTL_STATE"])))]


class Sink:
    """A sink that can be stopped by the commands `how`."""

    def __init__(self, port: int, how: list[str]) -> None:
        self.port, self.how = port, how

    def __call__(self) -> bool:
        """Whether it answers."""
        return answers(self.port)


@pytest.fixture
def sink(chaos: Cli, tmp_path: Path) -> Iterator[Sink]:
    """One that answers, and is that of the settings."""
    port, pid_file, script = services.fresh_port(), tmp_path / "pid", tmp_path / "sink.py"
    script.write_text(SINK)
    start = [sys.executable, str(script), str(port), str(pid_file)]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    chaos.env["ELASTIC_URL"] = f"http://127.0.0.1:{port}"
    stop = f"sh -c 'kill $(cat {pid_file})'"
    made = Sink(port, ["--stop-command", stop, "--start-command", " ".join(start)])
    eventually(made)
    yield made
    psutil.Process(int(pid_file.read_text())).kill()


def answers(port: int) -> bool:
    """Whether a server of this machine answers soon."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_it_undoes_at_once(number: signal.Signals, chaos: Cli, sink: Sink) -> None:
    with holding(chaos, "es", "stop", *sink.how, "--for", "1h") as command:
        eventually(lambda: not sink())
        command.send_signal(number)
        assert command.wait(20) == 128 + number
    assert sink()
    assert under_way(chaos) == []


def test_what_a_killed_command_left_is_undone_by_the_next(chaos: Cli, sink: Sink) -> None:
    with holding(chaos, "es", "stop", *sink.how, "--for", "1h") as command:
        eventually(lambda: not sink())
        command.kill()
    done = chaos("chaos", "kill")
    assert "undone, for whoever began it is gone: the sink" in done.stderr
    assert sink()
    assert "undone" not in chaos("chaos", "kill").stderr


def test_a_command_that_only_prints_undoes_nothing(chaos: Cli, sink: Sink) -> None:
    with holding(chaos, "es", "stop", *sink.how, "--for", "1h") as command:
        eventually(lambda: not sink())
        command.kill()
    for words in ("lab list daemon", "lab run --help", "chaos undo --help", "chaos undo --dry-run"):
        done = chaos(*words.split())
        assert done.returncode == 0
        assert done.stderr == ""
    assert "is stopped (command)" in chaos.ok("chaos", "undo", "--dry-run")
    assert not sink()
    chaos.ok("chaos", "undo")
    assert sink()
    assert "no faults under way" in chaos.ok("chaos", "undo")


@pytest.fixture
def workers(chaos: Cli, tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    """Two, started as a person starts them: forks of the tests' own process are rightly not taken for any."""
    named = [WorkerProcess(chaos.env | {"OUTBOX_WORKER_ID": name}, tmp_path) for name in ("w1", "w2")]
    for each in named:
        each.start()
    yield named
    for each in named:
        each.kill()


@pytest.mark.slow(reason="it waits for leases to end")
def test_a_worker_is_paused_undone_and_killed(
    chaos: Cli, workers: list[WorkerProcess], sql: psycopg.Connection
) -> None:
    first, second = (psutil.Process(each.pid) for each in workers)

    def paused() -> list[bool]:
        return [each.status() == psutil.STATUS_STOPPED for each in (first, second)]

    eventually(lambda: sql.execute("SELECT FROM outbox_workers").rowcount == 2)
    several = chaos("chaos", "kill", "--pause")
    assert several.returncode == 2
    assert "2 workers fit" in several.stderr
    with holding(chaos, "kill", "--pause", "--all", "--for", "1h") as command:
        eventually(lambda: all(paused()))
        command.kill()
    assert "undone, for whoever began it is gone: worker w1" in chaos("chaos", "kill").stderr
    assert not any(paused())
    chaos.ok("chaos", "kill", "--pause", "--id", "w1")
    assert paused() == [True, False]
    assert chaos("chaos", "kill", "--pause", "--id", "w1").returncode == 2
    chaos.ok("chaos", "undo")
    assert not any(paused())
    assert under_way(chaos) == []
    chaos.ok("chaos", "kill", "--pause", "--id", "w2")
    assert chaos("chaos", "kill", "--id", "w2", "--for", "1s").returncode == 2
    chaos.ok("chaos", "kill", "--id", "w2")
    assert under_way(chaos) == []
    eventually(lambda: [each.running for each in workers] == [True, False], what="w2 is dead")
    assert workers[1].code == -signal.SIGKILL


@pytest.fixture
def bystanders() -> "Iterator[list[subprocess.Popen[bytes]]]":
    """Two processes that are no workers; the second one's command line looks like a worker's."""
    pretends = [sys.executable, "-c", "import time; time.sleep(60)", "outboxctl", "worker"]
    started = [subprocess.Popen(command) for command in (["sleep", "60"], pretends)]
    yield started
    for each in started:
        each.kill()
        each.wait()


def test_no_other_process_is_taken_for_a_worker(
    chaos: Cli, bystanders: "list[subprocess.Popen[bytes]]", sql: psycopg.Connection
) -> None:
    sleeper, younger = bystanders
    sql.execute(ROW, ["sleeper", socket.gethostname(), sleeper.pid, 0])
    sql.execute(ROW, ["younger", socket.gethostname(), younger.pid, 3600])  # born an hour ago, says its row
    sql.execute(ROW, ["far", "db7.example", os.getpid(), 0])
    for name in ("sleeper", "younger", "far"):
        refused = chaos("chaos", "kill", "--pause", "--id", name)
        assert refused.returncode == 2, refused.stdout
    assert "runs on db7.example, not here" in refused.stderr
    assert psutil.STATUS_STOPPED not in [psutil.Process(each.pid).status() for each in bystanders]


def test_odd_rows_end_as_they_should(chaos: Cli, sql: psycopg.Connection) -> None:
    given = {"stale": ("done", None), "duplicate": ("done", None), "poison": ("failed", "mapping")}
    put = {name: chaos("inject", "event", "--kind", name) for name in given}
    assert [name for name, (end, _) in given.items() if end not in put[name].stderr] == []  # foretold
    ids = {name: done.stdout.split() for name, done in put.items()}  # alone on stdout
    chaos.ok("worker", "--drain", "--metrics-port", str(services.fresh_port()))
    ends = {
        name: set(
            sql.execute(
                "SELECT status, error_reason FROM search_outbox_events WHERE id = ANY (%s::uuid[])", [each]
            ).fetchall()
        )
        for name, each in ids.items()
    }
    assert ends == {name: {end} for name, end in given.items()}


def test_the_sink_is_stopped_and_started(chaos: Cli, sink: Sink) -> None:
    chaos.ok("chaos", "es", "stop", *sink.how)
    assert not sink()
    again = chaos("chaos", "es", "stop", *sink.how)
    assert again.returncode == 2
    assert "already does not answer" in again.stderr
    assert under_way(chaos) == ["sink-stopped"]
    chaos.ok("chaos", "es", "start", *sink.how)
    assert sink()
    assert under_way(chaos) == []
    assert "undone after" in chaos.ok("chaos", "es", "stop", *sink.how, "--for", "0.2s")
    assert sink()


@pytest.mark.slow(reason="it stops and pauses an engine of its own")
def test_an_engine_of_services_left_stopped_or_paused_comes_back(chaos: Cli) -> None:
    state = Path(chaos.env["OUTBOXCTL_STATE"])
    engine = services.start_search(state, search="noida", fresh=True)
    try:
        chaos.env["ELASTIC_URL"] = engine.url
        for flags, kind in (((), "sink-stopped"), (("--pause",), "sink-paused")):
            with holding(chaos, "es", "stop", *flags, "--for", "1h") as command:
                assert command.stderr is not None
                assert any("after" in line for line in command.stderr), kind
                assert not answers(engine.port)
                command.kill()
            assert under_way(chaos) == [kind]
            chaos.ok("chaos", "undo")
            assert under_way(chaos) == []
            eventually(lambda: answers(engine.port), within=2)
    finally:
        services.down(state, purge=True)


def ended(pid: int) -> bool:
    """Whether it has ended, whether or not its parent, the machine's first process by then, has noticed."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.usefixtures("sink")
def test_an_interruption_ends_a_stop_command_that_hangs_and_undoes_it(chaos: Cli, tmp_path: Path) -> None:
    began, started = tmp_path / "began", tmp_path / "started"
    how = [
        "--stop-command",
        f"sh -c 'sleep 60 & echo $! > {began}; wait'",
        "--start-command",
        f"touch {started}",
    ]
    with holding(chaos, "es", "stop", *how) as command:
        eventually(lambda: began.exists() and began.read_text())
        command.send_signal(signal.SIGINT)
        assert command.wait(20) == 130
    assert started.exists()
    assert under_way(chaos) == []
    eventually(lambda: ended(int(began.read_text())), within=10)  # its child does not go on


def test_a_sink_that_nobody_said_how_to_stop_is_not_touched(chaos: Cli, sink: Sink) -> None:
    refused = chaos("chaos", "es", "stop", *sink.how[:2])
    assert "go together" in refused.stderr
    for flags in ((), ("--pause",)):
        refused = chaos("chaos", "es", "stop", *flags)
        assert refused.returncode == 2
        assert "`outboxctl services up` did not start the sink" in refused.stderr
    assert sink()


def test_a_schema_of_a_run_is_dropped_although_the_sink_does_not_answer(
    url: str, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OUTBOXCTL_STATE", str(tmp_path))
    settings = load(database_url=url, elastic_url="http://127.0.0.1:9")
    names = guest.GuestNames("outboxctl_lab_gone", "x-lab-gone")
    with pytest.raises(UnreachableError), Ledger(settings).holding(*guest.planned(settings, names, "a lab")):
        pass
    assert sql.execute("SELECT FROM pg_namespace WHERE nspname = 'outboxctl_lab_gone'").rowcount == 0
