"""A script that reads `--json` finds the names that it relies on; every command that reads prints JSON."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import servers as test_servers
from operations.every_command import READING, haunt
from processes import Cli
from servers import Servers

NAMES = {
    "failed list": {"failed", "groups"},
    "lab list": {"labs"},
    "oldest": {"events"},
    "projection list": {"projections"},
    "replay": {"matched", "selected", "dry_run", "ids"},
    "status": {
        *("projection", "status", "stuck", "lag", "oldest_age_seconds", "oldest_pending"),
        "failed_by_reason",
    },
    "stuck": {"events"},
}
OF_EACH = {
    ("lab list", "labs"): {"name"},
    ("oldest", "events"): {"id", "created_at", "attempts", "next_retry_at", "error_reason"},
    ("status", "oldest_pending"): {"id", "created_at", "attempts", "next_retry_at", "error_reason"},
}


@pytest.fixture(scope="module")
def url(servers: Servers, template: str) -> Iterator[str]:
    """One database for all these tests."""
    with test_servers.a_database(servers.postgres, template) as url:
        with psycopg.connect(url, autocommit=True) as sql:
            haunt(sql)
        yield url


@pytest.fixture(scope="module")
def index(engine: Elasticsearch) -> Iterator[str]:
    """One index, for the same reason."""
    with test_servers.an_index(engine) as name:
        yield name


@pytest.mark.parametrize("path", READING)
def test_what_reads_prints_the_names_that_scripts_rely_on(cli: Cli, path: str) -> None:
    done = cli(*path.split(), *READING[path], "--json")
    assert done.returncode in (0, 4), done.stderr
    document: Any = json.loads(done.stdout)
    assert NAMES.get(path, set()) <= set(document)
    for (command, key), names in OF_EACH.items():
        if command == path:
            assert document[key]
            assert all(names <= set(each) for each in document[key])
