"""`services up` as a reader of the lab document uses it: psql, the document's index, a port that is taken."""

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.drills import services
from processes import Cli, environment
from servers import Servers

LAB_INDEX = "wordloom-test-search-index"


@pytest.fixture
def here(tmp_path: Path, state: Path) -> Cli:
    """The command on a state folder of its own."""
    return Cli(environment(OUTBOXCTL_STATE=str(state)), tmp_path)


@pytest.fixture
def asked(here: Cli, tmp_path: Path) -> Path:
    """What a stand-in for Docker is asked, a line each: no machine here has a Docker engine."""
    programs, asked = tmp_path / "programs", tmp_path / "asked"
    programs.mkdir()
    (programs / "docker").write_text(
        f'#!/bin/sh\necho "$@" $OUTBOXCTL_SEARCH_PORT >>{asked}; echo progress\n'
    )
    (programs / "docker").chmod(0o755)
    here.env["PATH"] = f"{programs}:{here.env['PATH']}"
    return asked


def ports() -> list[str]:
    return ["--postgres-port", str(services.fresh_port()), "--search-port", str(services.fresh_port())]


def exported(lines: str) -> dict[str, str]:
    """What a shell has after it evaluated these lines."""
    code = 'eval "$LINES"; env'
    done = subprocess.run(
        ["bash", "-c", code], env={"LINES": lines}, capture_output=True, text=True, check=True
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def made_roles(here: Cli, url: str, connection: psycopg.Connection) -> bool:
    """Whether `roles --sql` can be run as the owner of these tables, who gets no more than that."""
    env = {"DATABASE_URL": url}
    here.ok("db", "upgrade", env=env)
    connection.execute(here.ok("roles", "--sql", env=env).encode())
    rights = "SELECT rolcreaterole, rolsuper, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = %s"
    assert connection.execute(rights, ["wordloom"]).fetchone() == (True, False, False, False)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
        connection.execute("ALTER ROLE postgres PASSWORD 'mine'")
    return connection.execute("SELECT FROM pg_roles WHERE rolname = 'outbox_worker'").rowcount == 1


@pytest.mark.slow(reason="starts both servers by the command")
def test_its_urls_are_taken_by_psql_and_both_indexes_are_there(here: Cli, asked: Path) -> None:
    done = here("services", "up", "--search", "noida", *ports())
    assert not asked.exists(), "nobody asked for containers"
    assert "Every user of this machine can log in to both" in done.stderr
    told = exported(done.stdout)
    with psycopg.connect(told["DATABASE_URL"]) as connection:  # libpq, as psql is
        assert connection.info.dbname == "wordloom_test"
        assert made_roles(here, told["DATABASE_URL"], connection)
    with Elasticsearch(told["ELASTIC_URL"]) as engine:
        assert engine.indices.exists_alias(name=told["ELASTIC_INDEX"])
        assert engine.indices.exists_alias(name=LAB_INDEX)


def test_containers_are_compose_s_matter_and_only_where_they_are_asked_for(
    here: Cli, asked: Path, servers: Servers
) -> None:
    port = str(urlsplit(servers.sink).port)
    up = here("services", "up", "--docker", "--search-port", port)
    assert up.returncode == 0, up.stderr
    assert exported(up.stdout)["ELASTIC_URL"] == f"http://127.0.0.1:{port}"
    assert "progress" in up.stderr
    here.ok("services", "down", "--docker", "--purge")
    first, last = asked.read_text().splitlines()
    assert first.endswith(f"docker-compose.yml up --wait postgres es {port}")
    assert last.strip().endswith("docker-compose.yml down --volumes")
    (asked.parent / "programs/docker").write_text("#!/bin/sh\nexit 1\n")
    assert here("services", "up", "--docker").returncode == 3
    assert here("services", "up", "--docker", "--search", "noida").returncode == 2


def test_a_bad_setting_is_said_before_anything_starts(state: Path, tmp_path: Path) -> None:
    here = Cli(environment(OUTBOXCTL_STATE=str(state), OUTBOX_ENV="staging"), tmp_path)
    done = here("services", "up", "--search", "noida", *ports())
    assert (done.returncode, done.stdout) == (2, "")
    assert "bad setting OUTBOX_ENV" in done.stderr
    assert here_status(tmp_path, state) == []


def here_status(folder: Path, state: Path) -> list[object]:
    return list(Cli(environment(OUTBOXCTL_STATE=str(state)), folder).json("services", "status")["services"])
