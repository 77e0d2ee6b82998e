"""Where a page's blocks run: a shell, and both servers with what `desk.stage` sets up on them.

That is 40 events done, 30 failed for three reasons, and two pending.
"""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from docs.blocks import Block, said
from docs.shell import Shell, terminal
from drilled import evidence, record
from operations import stage
from outboxctl.drills import services
from outboxctl.sink.index.index_setup import ensure
from processes import Cli, environment
from sinks import client_of

UNFAIL = """
WITH failed AS (DELETE FROM search_outbox_events WHERE status = 'failed' RETURNING entity_id)
DELETE FROM search_index WHERE entity_id IN (TABLE failed)
"""
Env = dict[str, str]


@pytest.fixture
def shell(page: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """A terminal, with what the page says that it needs."""
    needs, _ = said(page)
    kind = next((each for each in ("empty database", "own servers") if each in needs), "staged")
    env = request.getfixturevalue(kind.replace(" ", "_"))
    if "nothing failed" in needs:
        with _sql(env) as sql:
            sql.execute(UNFAIL)
    env = env | {"PGSERVICEFILE": str(_service_file(env, tmp_path))}
    with terminal(env, tmp_path, _addresses(env)) as made:
        if "worker" in needs:
            made.run(Block(page, 0, "bash", "background", "outboxctl worker", ""))
        if "evidence" in needs:
            for run in ("before", "after"):
                evidence(made.folder / "lab-evidence" / run, record("kill-and-heal"), record("bad-op"))
        yield made


def _service_file(env: Env, folder: Path) -> Path:
    """The connection `owner` of the page on roles, which a person has in ~/.pg_service.conf."""
    given = psycopg.conninfo.conninfo_to_dict(env["DATABASE_URL"].replace("+psycopg", ""))
    path = folder / "pg_service.conf"
    path.write_text("\n".join(["[owner]", *(f"{name}={value}" for name, value in given.items()), ""]))
    return path


def _addresses(env: Env) -> Env:
    """What the pages write, and what it is here."""
    return {
        "postgresql+psycopg://wordloom:wordloom@localhost:5435/wordloom_test": env["DATABASE_URL"],
        "http://localhost:9200": env["ELASTIC_URL"],
        "outbox-search-index": env["ELASTIC_INDEX"],
        ":9108": f":{env['OUTBOX_METRICS_PORT']}",
        "9201": str(services.fresh_port()),
    }


@pytest.fixture
def empty_database(empty_url: str, env: Env) -> Env:
    """Both servers, and no table yet."""
    return env | {"DATABASE_URL": empty_url}


@pytest.fixture
def staged(env: Env, tmp_path: Path) -> Env:
    """A database and an index of the page's own."""
    _set_up(env, tmp_path)
    return env


@pytest.fixture
def own_servers(page: Path, tmp_path: Path) -> Iterator[Env]:
    """Servers of the page's own: they may be stopped, and have roles made in them."""
    state = tmp_path / "state"
    real = "knn" in said(page)[0]
    both = services.up(state, search="auto" if real else "noida", fresh_ports=True, fast=True)
    env = environment(
        DATABASE_URL=both.postgres.admin_url.partition("?")[0],
        ELASTIC_URL=both.search.url,
        ELASTIC_INDEX="outbox-search-index",
        OUTBOX_METRICS_PORT=str(services.fresh_port()),
    )
    try:
        if real and both.search.kind == "noida":
            pytest.skip("the imitation has no search by vectors")
        with Elasticsearch(both.search.url) as client:
            ensure(client_of(client), env["ELASTIC_INDEX"])
        Cli(env, tmp_path).ok("db", "upgrade")
        _set_up(env, tmp_path)
        with _sql(env) as sql:
            sql.execute("CREATE ROLE your_application LOGIN")
        yield env
    finally:
        services.down(state, purge=True)


def _set_up(env: Env, folder: Path) -> None:
    with _sql(env) as sql:
        stage.set_up(sql, lambda: Cli(env, folder).ok("worker", "--drain"))
        stage.put(sql, 1, "block", 0)
        stage.put(sql, 2, "page", 0)
        sql.execute("UPDATE search_outbox_events SET created_at = now() WHERE status = 'pending'")


def _sql(env: Env) -> psycopg.Connection:
    return psycopg.connect(env["DATABASE_URL"].replace("+psycopg", ""), autocommit=True)
