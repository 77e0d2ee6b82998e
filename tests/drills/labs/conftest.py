"""Fixtures of the labs' tests: a run of all labs, and a staging system to run some against."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli, environment
from servers import Servers

LONGEST_SECONDS = 600


@pytest.fixture(scope="session")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What `lab run all` says, and the folder of its evidence."""
    home = tmp_path_factory.mktemp("labs")
    cli = Cli(environment(OUTBOXCTL_STATE=str(home / "state")), home)
    evidence = home / "evidence"
    done = cli("lab", "run", "all", "--json", "--evidence", str(evidence), timeout=LONGEST_SECONDS)
    assert done.stdout, done.stderr
    return json.loads(done.stdout) | {"code": done.returncode}, evidence


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
