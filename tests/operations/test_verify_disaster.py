"""A disaster behind the tool's back is found exactly, and healed exactly."""

import json
import os
from random import Random
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from operations.disaster import WAYS, Ground
from processes import Cli

pytestmark = pytest.mark.real_engine
WHO = ("--by", "alice", "--reason", "the disaster")
ROWS, DAMAGED = (100_000, 1_100) if os.environ.get("OUTBOXCTL_TEST_LARGE") else (5_000, 1_100)


@pytest.fixture
def ground(sql: psycopg.Connection[Any], engine: Elasticsearch, index: str) -> Ground:
    return Ground(sql, engine, index)


def found(cli: Cli, *args: str) -> dict[str, set[str]]:
    """The ids that `verify` lists, by kind; every one must be listed once, and counted."""
    done = cli("verify", "--json", "--limit", "1000000", *args, timeout=300)
    report = json.loads(done.stdout)
    ids = [difference["id"] for difference in report["first"]]
    assert len(set(ids)) == len(ids) == report["differences"]
    assert done.returncode == (4 if ids else 0)
    by_kind: dict[str, set[str]] = {}
    for difference in report["first"]:
        by_kind.setdefault(difference["kind"], set()).add(difference["id"])
    return by_kind


@pytest.mark.slow(reason="compares and repairs a large system")
def test_a_disaster_is_found_exactly_and_healed_exactly(cli: Cli, ground: Ground) -> None:
    ground.fill(ROWS)
    assert found(cli) == {}
    expected = ground.damage(Random(1), DAMAGED)
    assert found(cli) == expected
    done = cli.json("verify", "--repair", *WHO, timeout=300)["repaired"]
    assert done["enqueued"] + done["removed"] == DAMAGED
    assert (done["removed"], done["left"]) == (DAMAGED // len(WAYS), 0)
    cli.ok("worker", "--drain", timeout=300)
    assert found(cli) == {}
    ground.assert_same()


def test_versions_alone_find_all_but_other_content(cli: Cli, ground: Ground) -> None:
    ground.fill(300)
    expected = ground.damage(Random(2), 110)
    expected.pop("altered")
    assert found(cli, "--versions-only") == expected
