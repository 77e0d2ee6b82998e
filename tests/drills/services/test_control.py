"""Real servers: up, status and down, with PostgreSQL and a real Elasticsearch."""

import os
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills import services
from outboxctl.drills.services import process
from outboxctl.net.urls import check_database_url

INDEX = "kept"


def sql(url: str, statement: str) -> str:
    with psycopg.connect(check_database_url(url)) as connection:
        cursor = connection.execute(statement)
        return str(cursor.fetchone()) if cursor.description else ""


@pytest.mark.slow(reason="starts and stops servers of its own several times")
def test_up_status_down_and_the_data_stays(state: Path, said: list[str]) -> None:
    first = services.up(state, fresh_ports=True, fast=True, say=said.append)
    sql(first.postgres.url, "CREATE TABLE kept (word text)")
    with Elasticsearch(first.search.url) as engine:
        engine.index(index=INDEX, id="1", document={"word": "kept"})
    assert sql(first.postgres.admin_url, "SELECT usesuper FROM pg_user WHERE usename = user") == "(True,)"
    assert [service.running for service in services.status(state)] == [True, True]
    assert all(os.getsid(one.pid) == one.pid for one in (first.postgres, first.search) if one.pid)

    assert services.up(state, say=said.append) == first
    (joined,) = [line for line in said if line.startswith("search: already running")]
    assert f"on port {first.search.port}, by the state folder {state};" in joined
    assert "OUTBOXCTL_STATE" in joined
    with pytest.raises(UsageError, match="already runs as elasticsearch"):
        services.up(state, search="noida")

    assert {service.pid for service in services.down(state)} == {first.postgres.pid, first.search.pid}
    assert not first.postgres.running
    assert not first.search.running
    assert services.down(state) == []

    again = services.up(state)
    assert (again.postgres.port, again.search.port) == (first.postgres.port, first.search.port)
    assert sql(again.postgres.url, "SELECT count(*) FROM kept") == "(0,)"
    with Elasticsearch(again.search.url) as engine:
        assert engine.get(index=INDEX, id="1")["_source"] == {"word": "kept"}


@pytest.mark.slow(reason="starts and stops servers of its own several times")
def test_one_service_alone_comes_back_where_it_was(state: Path) -> None:
    first = services.start_search(state, search="noida", port=services.fresh_port())

    assert services.stop("search", state) == first
    assert not first.running
    assert services.stop("search", state) is None
    assert services.start_search(state).url == first.url


@pytest.mark.slow(reason="starts and stops servers of its own several times")
def test_a_lost_record_leaves_no_orphan(state: Path, said: list[str]) -> None:
    first = services.start_postgres(state, port=services.fresh_port(), fast=True)
    (state / "services.json").unlink()

    again = services.start_postgres(state, port=first.port, fast=True, say=said.append)

    assert again.port == first.port
    assert not first.running
    assert [leftover.pid for leftover in process.occupants(again.data) if leftover.pid == first.pid] == []
    assert f"postgres: ending a leftover process {first.pid}" in said


@pytest.mark.slow(reason="an engine of its own")
def test_an_engine_that_dies_is_an_error_with_its_last_words(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:NoSuchOption")
    with pytest.raises(UnreachableError, match="search ended while it started") as failed:
        services.start_search(state, search="elasticsearch", port=services.fresh_port())
    assert "NoSuchOption" in failed.value.hint
    assert [service.running for service in services.status(state)] == [False]


@pytest.mark.slow(reason="a server of its own")
def test_each_database_has_pgvector_without_a_superuser(state: Path) -> None:
    made = services.start_postgres(state, port=services.fresh_port(), fast=True)
    sql(made.url, "CREATE EXTENSION IF NOT EXISTS vector")
    sql(made.url, "CREATE TABLE embedded (embedding vector(3))")
    with psycopg.connect(check_database_url(made.url), autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
    assert sql(made.url.replace("/wordloom?", "/another?"), "SELECT '[1]'::vector(1)") == "('[1]',)"
