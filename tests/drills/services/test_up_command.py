"""`services up` as a reader of the lab document uses it: psql, the document's index, a port that is taken."""

import os
import socket
import subprocess
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.drills import services
from processes import Cli, environment

LAB_INDEX = "wordloom-test-search-index"


@pytest.fixture
def here(tmp_path: Path, state: Path) -> Cli:
    """The command on a state folder of its own."""
    return Cli(environment(OUTBOXCTL_STATE=str(state)), tmp_path)


def ports() -> list[str]:
    return ["--postgres-port", str(services.fresh_port()), "--search-port", str(services.fresh_port())]


def exported(lines: str, *, quoted: bool) -> dict[str, str]:
    """What a shell has after it evaluated these lines."""
    code = 'eval "$LINES"; env' if quoted else "eval $LINES; env"
    done = subprocess.run(
        ["bash", "-c", code], env={"LINES": lines}, capture_output=True, text=True, check=True
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def made_roles(here: Cli, url: str, connection: psycopg.Connection) -> bool:
    """Whether `db roles --sql` can be run as the owner of these tables, who gets no more than that."""
    env = {"DATABASE_URL": url}
    here.ok("db", "upgrade", env=env)
    connection.execute(here.ok("db", "roles", "--sql", env=env).encode())
    rights = "SELECT rolcreaterole, rolsuper, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = %s"
    assert connection.execute(rights, ["wordloom"]).fetchone() == (True, False, False, False)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
        connection.execute("ALTER ROLE postgres PASSWORD 'mine'")
    return connection.execute("SELECT FROM pg_roles WHERE rolname = 'outbox_worker'").rowcount == 1


@pytest.mark.slow(reason="starts both servers by the command")
def test_its_urls_are_taken_by_psql_and_both_indexes_are_there(here: Cli) -> None:
    done = here("services", "up", "--search", "noida", *ports())
    assert "Every user of this machine can log in to both" in done.stderr
    told = exported(done.stdout, quoted=True)
    with psycopg.connect(told["DATABASE_URL"]) as connection:  # libpq, as psql is
        assert connection.info.dbname == "wordloom_test"
        assert made_roles(here, told["DATABASE_URL"], connection)
    with Elasticsearch(told["ELASTIC_URL"]) as engine:
        assert engine.indices.exists_alias(name=told["ELASTIC_INDEX"])
        assert engine.indices.exists_alias(name=LAB_INDEX)


@pytest.mark.slow(reason="starts both servers by the command")
def test_a_port_that_is_taken_cannot_be_missed(here: Cli) -> None:
    with socket.create_server(("127.0.0.1", services.fresh_port())) as busy:
        taken = busy.getsockname()[1]
        asked = [*ports()[:2], "--search-port", str(taken)]
        done = here("services", "up", "--search", "noida", *asked)
        again = here("services", "up", *asked)
        told = here.json("services", "up", *asked)
    assert done.returncode == 0, done.stderr
    url = exported(done.stdout, quoted=True)["ELASTIC_URL"]
    port = url.rpartition(":")[2]
    for each in (done, again):
        (line,) = [line for line in each.stderr.splitlines() if "PORT MOVED" in line]
        assert line.startswith(f"PORT MOVED: the search engine listens on {port}, not on {taken}: ")
        assert f"(pid {os.getpid()}) holds that one" in line
        assert line.endswith(f"run: outboxctl services down; outboxctl services up --search-port {taken}")
        assert f"export ELASTIC_URL='{url}'" in each.stdout
        assert each.stdout.splitlines()[-1] == f"# search listens on port {port}, not on {taken}"
        assert exported(each.stdout, quoted=False)["ELASTIC_INDEX"] == "outbox-search-index"
    assert {row["role"]: row["asked_port"] == row["port"] for row in told["services"]} == {
        "postgres": True,
        "search": False,
    }


@pytest.mark.slow(reason="starts both servers by the command")
def test_a_port_that_was_moved_by_an_earlier_start_is_said_though_nobody_holds_it(here: Cli) -> None:
    elsewhere, asked = ports(), ports()
    assert "PORT MOVED" not in here("services", "up", "--search", "noida", *elsewhere).stderr
    assert "its earlier start was given another one" in here("services", "up", *asked).stderr


def test_a_bad_setting_is_said_before_anything_starts(state: Path, tmp_path: Path) -> None:
    here = Cli(environment(OUTBOXCTL_STATE=str(state), OUTBOX_ENV="staging"), tmp_path)
    done = here("services", "up", "--search", "noida", *ports())
    assert (done.returncode, done.stdout) == (2, "")
    assert "bad setting OUTBOX_ENV" in done.stderr
    assert here_status(tmp_path, state) == []


def here_status(folder: Path, state: Path) -> list[object]:
    return list(Cli(environment(OUTBOXCTL_STATE=str(state)), folder).json("services", "status")["services"])
