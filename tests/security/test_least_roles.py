"""Each command does its task as the least role that the docs name for it, and refuses the next lower.

`public` is writable by everybody, as PostgreSQL 13 and 14 have it.
"""

import ast
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch
from psycopg.sql import SQL, Identifier

from drilled import evidence, record
from drills.chaos.test_chaos_faults import SINK
from operations import terminal
from operations.every_command import leaves
from outboxctl.drills import services
from processes import OUTBOXCTL, Cli, environment, eventually
from security.every_role import CASES, LOWER, Case, Login, table
from security.ladder import Ladder
from security.test_sink_roles import permitted
from servers import Servers
from tls import Front

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/operators-desk/roles.md"
LACKS = ("permission denied for table", "must be owner of")
HOLDS = """
SELECT xmin, xmax, t::text FROM {} t ORDER BY 3
"""
TABLES = ("search_outbox_events", "search_index", "outbox_operator_audit", "outbox_environment")
MADE = """
SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT attname FROM pg_attribute WHERE attrelid = 'outbox_workers'::regclass AND NOT attisdropped
ORDER BY 1
"""
TRAP = """
CREATE TABLE trapped (at timestamptz);
CREATE FUNCTION trap() RETURNS varchar LANGUAGE sql SECURITY DEFINER
    AS $$ INSERT INTO trapped VALUES (now()) RETURNING '0006'::varchar $$;
DROP TABLE outboxctl_alembic_version;
CREATE VIEW outboxctl_alembic_version AS SELECT trap() AS version_num;
GRANT SELECT ON outboxctl_alembic_version TO PUBLIC;
"""
As = Callable[[Login], Cli]
GUESTS = ("bench", "lab run --against")  # indexes of their own: a role for them has --also 'NAME-*'


@pytest.fixture
def sink(servers: Servers, index: str, request: pytest.FixtureRequest) -> Iterator[Front]:
    """The sink as it is for the role that the test's command needs there."""
    path = request.node.callspec.params["path"]

    def permits(method: str, asked: str) -> bool:
        role = CASES[path].sink
        also = rf"{index}-[^/]*" if path in GUESTS else ""
        return bool(role) and permitted(role, method, asked.replace("%2C", ","), index, also)

    with Front(servers.sink, permits=permits).open() as front:
        yield front


@pytest.fixture
def acting_as(rungs: Ladder, sink: Front, index: str, tmp_path: Path) -> As:
    """The command line of this login, with the sink's role that the command needs."""
    port = str(services.fresh_port())
    env = environment(
        ELASTIC_URL=sink.url,
        ELASTIC_INDEX=index,
        OUTBOX_METRICS_PORT=port,
        OUTBOX_ENV="test",
        OUTBOXCTL_STATE=str(tmp_path / "state"),
    )

    def cli(login: Login) -> Cli:
        given = {} if login is Login.NONE else {"DATABASE_URL": rungs.url(login)}
        return Cli(env | given, tmp_path)

    return cli


@pytest.fixture
def sql(rungs: Ladder) -> Iterator[psycopg.Connection]:
    """The superuser, who looks."""
    with psycopg.connect(rungs.superuser, autocommit=True) as connection:
        yield connection


def held(sql: psycopg.Connection, engine: Elasticsearch, index: str) -> list[Any]:
    """All rows, all objects of the schema, and the indexes."""
    rows = [sql.execute(HOLDS.format(table).encode()).fetchall() for table in TABLES]
    return [*rows, sql.execute(MADE).fetchall(), dict(engine.indices.get_alias(index=f"{index}*"))]


def refused(done: subprocess.CompletedProcess[str]) -> None:
    """It names what is lacking, and where the rights are shown."""
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("outboxctl: ")]
    assert any(text in line for text in LACKS), line
    assert "`outboxctl db roles`" in line


def prepare(case: Case, acting_as: As, sql: psycopg.Connection) -> None:
    """What must be so before the command has something to do."""
    if case.first:
        acting_as(Login.OWNER).ok(*case.first)
    if case.given:
        sql.execute(case.given.encode())


@pytest.mark.no_servers
def test_every_command_has_its_least_role_here_and_in_the_page() -> None:
    assert {path.partition(" --")[0] for path in CASES} == {path for path, _ in leaves()}
    head = "| in PostgreSQL | in the sink | commands |\n| --- | --- | --- |\n"
    assert head + "\n".join(table()) + "\n\n" in PAGE.read_text()


@pytest.mark.no_servers
@pytest.mark.parametrize("test", sorted({case.by for case in CASES.values()} - {""}))
def test_the_test_of_a_command_that_is_not_run_below_exists(test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("path", [path for path, case in CASES.items() if not case.by])
def test_its_least_role_is_enough(path: str, acting_as: As, sink: Front, sql: psycopg.Connection) -> None:
    case = CASES[path]
    prepare(case, acting_as, sql)
    assert not case.did or sql.execute(case.did.encode()).fetchall() == [(False,)]
    done = acting_as(case.login)(*path.split(), *case.args)
    assert done.returncode in case.codes, done.stdout + done.stderr
    assert case.shows in done.stdout
    assert not case.did or sql.execute(case.did.encode()).fetchall() == [(True,)]
    assert sink.refused == []
    assert bool(sink.asked) == bool(case.sink), sink.asked


@pytest.mark.parametrize(
    "path", [path for path, case in CASES.items() if not case.by and case.login in LOWER]
)
def test_the_next_lower_role_is_refused_before_anything_is_done(
    path: str, acting_as: As, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    case = CASES[path]
    prepare(case, acting_as, sql)
    before = held(sql, engine, index)
    refused(acting_as(LOWER[case.login])(*path.split(), *case.args))
    assert held(sql, engine, index) == before


@pytest.mark.parametrize("path", ["lab report"])
def test_a_report_is_read_without_a_login(path: str, acting_as: As, sink: Front, tmp_path: Path) -> None:
    evidence(tmp_path / "lab-evidence" / "mine", record("bad-op"))
    assert "bad-op" in acting_as(Login.NONE).ok(*path.split())
    assert sink.asked == []


@pytest.mark.parametrize("path", ["doctor"])
def test_the_doctor_lacks_nothing_as_a_viewer(path: str, acting_as: As, sink: Front) -> None:
    """It examines what it may: what is lacking is a finding, not an error."""
    seen = acting_as(Login.VIEWER)(path)
    assert seen.returncode == 4
    assert "rights-read" not in seen.stdout
    assert sink.refused == []
    stranger = acting_as(Login.STRANGER)(path)
    assert stranger.returncode == 4
    assert "lacks SELECT on search_outbox_events" in stranger.stdout


@pytest.mark.parametrize("path", ["top"])
def test_a_viewer_has_the_full_screen(path: str, acting_as: As, tmp_path: Path) -> None:
    env = acting_as(Login.VIEWER).env | {"TERM": "xterm-256color"}
    shown = terminal.show([path], env, tmp_path, columns=80, keys=[("mapping", "q")])
    assert shown.returncode == 0, shown.raw
    env = acting_as(Login.STRANGER).env | {"TERM": "xterm-256color"}
    shown = terminal.show([path], env, tmp_path, columns=80)
    assert shown.returncode == 2
    assert LACKS[0] in shown.raw


@pytest.mark.parametrize("path", ["chaos block"])
def test_an_index_is_blocked_without_a_login(
    path: str, acting_as: As, sink: Front, engine: Elasticsearch, index: str
) -> None:
    def blocked() -> bool:
        (found,) = engine.indices.get_settings(index=index, flat_settings=True).values()
        return bool(found["settings"].get("index.blocks.write") == "true")

    refused(acting_as(Login.STRANGER)(*path.split()))  # with a DATABASE_URL the marker is asked for
    assert not blocked()
    nobody = acting_as(Login.NONE)
    nobody.ok(*path.split())
    assert blocked()
    nobody.ok("chaos", "unblock")
    assert not blocked()
    assert sink.refused == []


@pytest.mark.parametrize("path", ["chaos es stop"])
def test_the_sink_is_struck_without_a_login(path: str, acting_as: As, tmp_path: Path) -> None:
    port, pid, script = services.fresh_port(), tmp_path / "pid", tmp_path / "sink.py"
    script.write_text(SINK)
    start = [sys.executable, str(script), str(port), str(pid)]
    nobody = acting_as(Login.NONE)
    nobody.env |= {"ELASTIC_URL": f"http://127.0.0.1:{port}", "OUTBOX_CHAOS_PID_FILE": str(pid)}
    nobody.env |= {"OUTBOX_CHAOS_START_COMMAND": " ".join(start)}
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: pid.exists() and pid.read_text())
    for verb in ("pause", "resume", "stop", "start", "stop"):
        nobody.ok("chaos", "es", verb)
    assert path in CASES


@pytest.mark.parametrize("path", ["worker"])
def test_a_viewer_finds_the_workers_of_this_machine(
    path: str, acting_as: As, tmp_path: Path, sql: psycopg.Connection
) -> None:
    """The signal itself needs the worker's user, or root, in the operating system."""
    env = acting_as(Login.WORKER).env
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        [*OUTBOXCTL, "worker"], env=env, cwd=tmp_path, stdout=quiet, stderr=quiet
    ) as running:
        try:
            eventually(lambda: sql.execute("SELECT FROM outbox_workers").fetchall(), what=path)
            for verb in ("pause", "resume", "kill"):
                refused(acting_as(Login.STRANGER)("chaos", "worker", verb))
                acting_as(Login.VIEWER).ok("chaos", "worker", verb)
            assert running.wait(10) == -signal.SIGKILL
        finally:
            running.kill()


@pytest.mark.parametrize("path", ["chaos db terminate"])
def test_a_login_ends_its_own_sessions_alone(
    path: str, acting_as: As, rungs: Ladder, sql: psycopg.Connection
) -> None:
    """PostgreSQL shows to others neither what a session is nor its name: there is nothing to end then."""
    url = rungs.url(Login.WORKER)
    with psycopg.connect(url, application_name="outboxctl", autocommit=True) as session:
        hidden = acting_as(Login.VIEWER)(*path.split())
        assert hidden.returncode == 2
        assert "this login may not see" in hidden.stderr
        refused(acting_as(Login.STRANGER)(*path.split()))
        session.execute("SELECT 1")
        assert acting_as(Login.WORKER).json(*path.split())["terminated"] == 1
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    with psycopg.connect(url, application_name="outboxctl"):
        grant = SQL("GRANT pg_read_all_stats, pg_signal_backend TO {}")
        sql.execute(grant.format(Identifier(rungs.user(Login.VIEWER))))
        assert acting_as(Login.VIEWER).json(*path.split())["terminated"] == 1


@pytest.mark.slow(reason="whole drills as a guest")
@pytest.mark.parametrize("path", GUESTS)
def test_a_guest_needs_to_create_a_schema(
    path: str, acting_as: As, sink: Front, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    small = {"bench": ("--events", "1000", "--repeat", "1")}.get(path, ("bad-op",))
    before = held(sql, engine, index)
    low = acting_as(Login.VIEWER)(*path.split(), *small, "--yes")
    assert low.returncode in {2, 5}, low.stdout + low.stderr  # a lab that cannot be set up is inconclusive
    assert "permission denied for database" in low.stdout + low.stderr
    assert held(sql, engine, index) == before
    acting_as(Login.CREATOR).ok(*path.split(), *small, "--yes", timeout=200)
    assert sink.refused == []
    assert held(sql, engine, index) == before


@pytest.mark.parametrize("path", ["db current", "db check"])
def test_reading_the_revision_changes_nothing_even_where_a_view_would(
    path: str, acting_as: As, sql: psycopg.Connection
) -> None:
    """It promises that PostgreSQL itself refuses: a view in the table's place tries."""
    sql.execute(TRAP)
    done = acting_as(Login.OWNER)(*path.split())
    assert done.returncode in {1, 2, 3}, done.stdout
    assert sql.execute("SELECT count(*) FROM trapped").fetchall() == [(0,)]
