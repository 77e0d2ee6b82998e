"""Each fault on a real system: it takes hold, it is undone, and nothing but what was meant is touched."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills import services
from outboxctl.drills.faults import guest, records
from outboxctl.drills.proxy import Proxy, faults
from outboxctl.drills.scratch.worker import WorkerProcess
from outboxctl.settings import load
from processes import OUTBOXCTL, Cli, eventually
from servers import Servers

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
SELECT gen_random_uuid(), 'impostor', %s, %s, '1', now() - make_interval(secs => %s), now(), 0, 'count',
    false"""


@pytest.fixture
def chaos(cli: Cli, tmp_path: Path) -> Cli:
    """Runs commands where faults are allowed, with a ledger of its own."""
    cli.env |= {"OUTBOXCTL_STATE": str(tmp_path / "state"), "OUTBOX_ENV": "test"}
    return cli


@pytest.fixture
def blocked(engine: Elasticsearch, index: str) -> Callable[[], bool]:
    """Whether the index takes no writes, asked without outboxctl."""

    def ask() -> bool:
        found = engine.indices.get_settings(index=index, flat_settings=True)
        return any(each["settings"].get("index.blocks.write") == "true" for each in found.values())

    return ask


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_it_undoes_at_once(
    number: signal.Signals, chaos: Cli, blocked: Callable[[], bool]
) -> None:
    with holding(chaos, "block", "--for", "1h", "--json") as command:
        eventually(blocked)
        command.send_signal(number)
        assert command.wait(20) == 128 + number
    assert not blocked()
    assert under_way(chaos) == []


def test_what_a_killed_command_left_is_undone_by_the_next(chaos: Cli, blocked: Callable[[], bool]) -> None:
    with holding(chaos, "block", "--for", "1h") as command:
        eventually(blocked)
        command.kill()
    elsewhere = chaos("chaos", "db", "terminate", env={"ELASTIC_URL": "http://127.0.0.1:1"})
    assert "set ELASTIC_URL to" in elsewhere.stderr
    assert blocked(), "it was said to be undone, and is not"
    done = chaos("chaos", "db", "terminate")
    assert "undone, for whoever began it is gone: the index" in done.stderr
    assert not blocked()
    assert "undone" not in chaos("chaos", "db", "terminate").stderr


def test_a_command_that_only_prints_undoes_nothing(chaos: Cli, blocked: Callable[[], bool]) -> None:
    with holding(chaos, "block", "--for", "1h") as command:
        eventually(blocked)
        command.kill()
    printing = (
        "lab list",
        "lab show daemon",
        "lab run --help",
        "lab --help",
        "chaos --help",
        "chaos undo --help",
    )
    for words in (*printing, "chaos --help", "chaos undo --help", "chaos list"):
        done = chaos(*words.split())
        assert done.returncode == 0
        assert done.stderr == ""
    (left,) = chaos.json("chaos", "list")["faults"]
    assert "outboxctl chaos undo" in done.stdout
    assert left["left_over"] is True
    assert blocked()
    chaos.ok("chaos", "undo")
    assert not blocked()


def test_only_our_own_block_is_lifted(
    chaos: Cli, blocked: Callable[[], bool], engine: Elasticsearch, index: str
) -> None:
    assert chaos.json("chaos", "block", "--for", "0.2s")["undone"] is True
    assert not blocked()
    engine.indices.put_settings(index=index, settings={"index.blocks.write": True})
    assert chaos("chaos", "block").returncode == 2
    chaos.ok("chaos", "undo")
    assert blocked()


def test_the_block_of_a_full_disk_is_lifted_without_touching_anothers(
    chaos: Cli, engine: Elasticsearch, index: str
) -> None:
    def blocks() -> set[str]:
        (found,) = engine.indices.get_settings(index=index, flat_settings=True).values()
        names = ("write", "read_only_allow_delete")
        return {name for name in names if found["settings"].get(f"index.blocks.{name}") == "true"}

    chaos.ok("chaos", "block", "--disk-full")
    assert blocks() == {"read_only_allow_delete"}
    chaos.ok("chaos", "block")
    chaos.ok("chaos", "undo")
    assert (blocks(), under_way(chaos)) == (set(), [])
    engine.indices.put_settings(index=index, settings={"index.blocks.read_only_allow_delete": True})
    chaos.ok("chaos", "undo")
    assert blocks() == {"read_only_allow_delete"}
    engine.indices.put_settings(index=index, settings={"index.blocks.read_only_allow_delete": None})


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
    several = chaos("chaos", "worker", "pause")
    assert several.returncode == 2
    assert "2 workers fit" in several.stderr
    with holding(chaos, "worker", "pause", "--all", "--for", "1h") as command:
        eventually(lambda: all(paused()))
        command.kill()
    assert "undone, for whoever began it is gone: worker w1" in chaos("chaos", "db", "terminate").stderr
    assert not any(paused())
    chaos.ok("chaos", "worker", "pause", "--id", "w1")
    assert paused() == [True, False]
    assert chaos("chaos", "worker", "pause", "--id", "w1").returncode == 2
    chaos.ok("chaos", "undo")
    assert not any(paused())
    assert under_way(chaos) == []
    chaos.ok("chaos", "worker", "pause", "--id", "w2")
    chaos.ok("chaos", "worker", "kill", "--id", "w2")
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
    sql.execute(ROW, [socket.gethostname(), sleeper.pid, 0])
    sql.execute(ROW, [socket.gethostname(), younger.pid, 3600])  # its row's process was born an hour ago
    sql.execute(ROW, ["db7.example", os.getpid(), 0])
    for pid in (sleeper.pid, younger.pid, os.getpid()):
        refused = chaos("chaos", "worker", "pause", "--pid", str(pid))
        assert refused.returncode == 2, refused.stdout
    assert "runs on db7.example, not here" in refused.stderr
    assert psutil.STATUS_STOPPED not in [psutil.Process(each.pid).status() for each in bystanders]


def test_sessions_are_ended_ours_or_all(chaos: Cli, url: str) -> None:
    with (
        psycopg.connect(url, application_name="outboxctl", autocommit=True) as ours,
        psycopg.connect(url, application_name="shop", autocommit=True) as shop,
    ):
        assert chaos.json("chaos", "db", "terminate") == {"terminated": 1, "rounds": 1}
        with pytest.raises(psycopg.OperationalError):
            ours.execute("SELECT 1")
        shop.execute("SELECT 1")
        again = chaos.json("chaos", "db", "terminate", "--all", "--for", "0.3s", "--every", "0.1s")
        assert again["terminated"] == 1
        assert again["rounds"] > 1


def test_a_login_that_may_not_see_sessions_is_not_told_that_there_are_none(
    chaos: Cli, sql: psycopg.Connection, url: str
) -> None:
    viewer, at = f"t{uuid4().hex[:8]}", urlsplit(url)
    sql.execute(f"CREATE ROLE {viewer} LOGIN PASSWORD 'secret'".encode())
    try:
        sql.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {viewer}".encode())
        chaos.env["DATABASE_URL"] = f"postgresql://{viewer}:secret@{at.hostname}:{at.port}{at.path}"
        with psycopg.connect(url, application_name="outboxctl", autocommit=True) as worker:
            done = chaos("chaos", "db", "terminate")
            worker.execute("SELECT 1")
        assert (done.returncode, done.stdout) == (2, "")
        assert "no session ended: this login may not see 2 sessions" in done.stderr
    finally:
        sql.execute(f"DROP OWNED BY {viewer}; DROP ROLE {viewer}".encode())


def test_odd_rows_end_as_they_should(chaos: Cli, sql: psycopg.Connection, servers: Servers) -> None:
    given = {
        "stale": ("done", None),
        "duplicate": ("done", None),
        "poison": ("failed", "mapping"),
        "oversized": ("failed", "payload_too_large"),
    }
    large = {"oversized": ["--bytes", "60000"]}
    put = {name: chaos("inject", "event", "--kind", name, *large.get(name, [])) for name in given}
    assert [name for name, (end, _) in given.items() if end not in put[name].stderr] == []  # foretold
    ids = {name: done.stdout.split() for name, done in put.items()}  # alone on stdout
    with Proxy(servers.sink) as proxy, proxy.fault(faults.too_large(over=50_000)):
        port = str(services.fresh_port())
        chaos.ok("worker", "--drain", "--metrics-port", port, env={"ELASTIC_URL": proxy.url})
    ends = {
        name: set(
            sql.execute(
                "SELECT status, error_reason FROM search_outbox_events WHERE id = ANY (%s::uuid[])", [each]
            ).fetchall()
        )
        for name, each in ids.items()
    }
    assert ends == {name: {end} for name, end in given.items()}


@pytest.fixture
def sink(chaos: Cli, tmp_path: Path) -> Iterator[Callable[[], bool]]:
    """A sink that can be stopped: both commands are in the settings; says if it answers."""
    port, pid_file, script = services.fresh_port(), tmp_path / "pid", tmp_path / "sink.py"
    script.write_text(SINK)
    start = [sys.executable, str(script), str(port), str(pid_file)]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    chaos.env |= {
        "ELASTIC_URL": f"http://127.0.0.1:{port}",
        "OUTBOX_CHAOS_STOP_COMMAND": f"sh -c 'kill $(cat {pid_file})'",
        "OUTBOX_CHAOS_START_COMMAND": " ".join(start),
    }
    eventually(lambda: answers(port))
    yield lambda: answers(port)
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


def test_the_sink_is_stopped_and_started(chaos: Cli, sink: Callable[[], bool]) -> None:
    chaos.ok("chaos", "es", "stop")
    assert not sink()
    again = chaos("chaos", "es", "stop")
    assert again.returncode == 2
    assert "already does not answer" in again.stderr
    assert under_way(chaos) == ["sink-stopped"]
    chaos.ok("chaos", "es", "start")
    assert sink()
    assert under_way(chaos) == []
    assert chaos.json("chaos", "es", "stop", "--for", "0.2s")["undone"] is True
    assert sink()


@pytest.mark.slow(reason="it stops and pauses an engine of its own")
def test_an_engine_of_services_left_stopped_or_paused_comes_back(chaos: Cli) -> None:
    state = Path(chaos.env["OUTBOXCTL_STATE"])
    engine = services.start_search(state, search="noida", fresh=True)
    try:
        chaos.env["ELASTIC_URL"] = engine.url
        for verb, kind in (("stop", "sink-stopped"), ("pause", "sink-paused")):
            with holding(chaos, "es", verb, "--for", "1h") as command:
                assert command.stderr is not None
                assert any("after" in line for line in command.stderr), verb
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
        f"sh -c 'echo $$ > {began}; sleep 60; true'",
        "--start-command",
        f"touch {started}",
    ]
    with holding(chaos, "es", "stop", *how) as command:
        eventually(lambda: began.exists() and began.read_text())
        command.send_signal(signal.SIGINT)
        assert command.wait(20) == 130
    assert started.exists()
    assert under_way(chaos) == []
    eventually(lambda: ended(int(began.read_text())), within=10)  # it does not go on


@pytest.mark.usefixtures("sink")
def test_a_sink_that_nobody_said_how_to_stop_is_not_touched(chaos: Cli, sink: Callable[[], bool]) -> None:
    refused = chaos("chaos", "es", "stop", env={"OUTBOX_CHAOS_START_COMMAND": ""})
    assert "go together" in refused.stderr
    chaos.env["OUTBOX_CHAOS_STOP_COMMAND"] = chaos.env["OUTBOX_CHAOS_START_COMMAND"] = ""
    for verb in ("stop", "pause"):
        refused = chaos("chaos", "es", verb)
        assert refused.returncode == 2
        assert "`outboxctl services up` did not start the sink" in refused.stderr
    assert sink()


def test_a_schema_of_a_run_is_dropped_although_the_sink_does_not_answer(
    url: str, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OUTBOXCTL_STATE", str(tmp_path))
    settings = load(database_url=url, elastic_url="http://127.0.0.1:9")
    names = guest.GuestNames("outboxctl_lab_gone", "x-lab-gone")
    with pytest.raises(UnreachableError), guest.holding(settings, names, "a lab"):
        pass
    assert sql.execute("SELECT FROM pg_namespace WHERE nspname = 'outboxctl_lab_gone'").rowcount == 0
