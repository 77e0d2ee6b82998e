"""Fixtures of the labs' tests: whole runs, and a staging system to run some against."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from drills.labs.runs import Outcome, outcome
from processes import environment
from servers import Servers


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str], Outcome]:
    """The outcome of a run of all labs, by its kind."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    return lambda kind: outcome(kind, shared)


@pytest.fixture
def staging(
    url: str, servers: Servers, index: str, tmp_path: Path, sql: psycopg.Connection, engine: Elasticsearch
) -> Iterator[dict[str, str]]:
    """The settings of a system that is somebody's; in the end there must be nothing of a lab in it."""
    yield environment(
        DATABASE_URL=url,
        ELASTIC_URL=servers.sink,
        ELASTIC_INDEX=index,
        OUTBOX_ENV="test",
        OUTBOXCTL_STATE=str(tmp_path / "state"),
    )
    assert left(sql, engine, index) == []


def left(sql: psycopg.Connection, engine: Elasticsearch, index: str) -> list[str]:
    """Schemas and indexes of labs."""
    schemas = sql.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'outboxctl%'").fetchall()
    indexes = engine.indices.get_alias(index=f"{index}-lab-*", expand_wildcards="all")
    return [name for (name,) in schemas] + list(indexes)
