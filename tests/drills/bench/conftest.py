"""Fixtures of `bench`: a system of a user, in which nothing may be left and nothing may change."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli, environment
from servers import Servers


@pytest.fixture
def user_system(
    url: str, servers: Servers, index: str, tmp_path: Path, sql: psycopg.Connection, engine: Elasticsearch
) -> Iterator[dict[str, str]]:
    """The settings of a system with rows and a document, which must be as they were at the end."""
    env = environment(
        DATABASE_URL=url,
        ELASTIC_URL=servers.sink,
        ELASTIC_INDEX=index,
        OUTBOX_ENV="test",
        OUTBOXCTL_STATE=str(tmp_path / "state"),
    )
    Cli(env, tmp_path).ok("inject", "load", "--count", "3")
    engine.index(index=index, id="theirs", document={"text": "theirs"}, refresh=True)
    before = held(sql, engine, index)
    yield env
    assert held(sql, engine, index) == before
    assert left(sql, engine, index) == []


def held(sql: psycopg.Connection, engine: Elasticsearch, index: str) -> list[object]:
    """Every row and document of the system, with the transaction that wrote it last."""
    tables = ("search_outbox_events", "search_index", "outbox_operator_audit", "outbox_workers")
    rows = [sql.execute(f"SELECT xmin, xmax, t.* FROM {table} t ORDER BY 3").fetchall() for table in tables]
    return [*rows, engine.get(index=index, id="theirs")["_version"], engine.count(index=index)["count"]]


def left(sql: psycopg.Connection, engine: Elasticsearch, index: str) -> list[str]:
    """Schemas and indexes of a benchmark."""
    schemas = sql.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'outboxctl%'").fetchall()
    indexes = engine.indices.get_alias(index=f"{index}-bench-*", expand_wildcards="all")
    return [name for (name,) in schemas] + list(indexes)
