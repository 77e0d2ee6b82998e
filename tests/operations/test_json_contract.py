"""A script that reads `--json` finds every name that docs/contract.md promises, with its type."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch
from tools import contract

import servers as test_servers
from operations.every_command import EVENTS, WHO, haunt
from operations.json_documents import MORE, PLAIN, PROJECTION, hold, printed
from processes import Cli, environment
from servers import Servers

FAILED = ("--id", str(EVENTS["failed"]))


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


@pytest.mark.no_servers
def test_every_document_that_is_promised_is_looked_at() -> None:
    groups = set(contract.promised()["json"])
    assert groups == set(contract.current()["json"]) | set(PLAIN) | MORE | PROJECTION


@pytest.mark.parametrize("path", PLAIN)
def test_what_reads(cli: Cli, path: str) -> None:
    hold(path, printed(cli, *PLAIN[path]))


@pytest.mark.no_servers
def test_words(tmp_path: Path) -> None:
    cli = Cli(environment(), tmp_path)
    hold("explain", printed(cli, "explain"))
    hold("explain WORD", printed(cli, "explain", "OutboxStuck"))


def test_failures_and_what_is_done_about_them(cli: Cli) -> None:
    (cause,) = printed(cli, "failed", "list")["groups"]
    hold("failed list --fingerprint", printed(cli, "failed", "list", "--fingerprint", cause["fingerprint"]))
    act = printed(cli, "replay", *WHO, *FAILED)
    hold("replay", act)
    hold("audit --id", printed(cli, "audit", "--id", act["audit_id"]))
    hold("failed undo", printed(cli, "failed", "undo", act["audit_id"], *WHO))
    hold("failed discard", printed(cli, "failed", "discard", *WHO, *FAILED))
    hold("prune", printed(cli, "prune", "--older-than", "7d"))


def test_what_puts_both_sides_right(cli: Cli) -> None:
    hold("verify --repair", printed(cli, "verify", "--repair", *WHO))
    hold("rebuild", printed(cli, "rebuild", *WHO, "--yes"))
    hold("index rebuilds", printed(cli, "index", "rebuilds"))
