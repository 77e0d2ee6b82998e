"""A disaster behind the tool's back is found exactly, and healed exactly."""

import os
from random import Random
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from desk.disaster import Ground
from processes import Cli

pytestmark = pytest.mark.real_engine
WHO = ("--by", "alice", "--reason", "the disaster")


@pytest.fixture
def ground(sql: psycopg.Connection[Any], engine: Elasticsearch, index: str) -> Ground:
    return Ground(sql, engine, index)


def found(report: Any) -> dict[str, set[str]]:
    """The ids of a report by kind; every one is listed once."""
    assert len({d["id"] for d in report["first"]}) == len(report["first"]) == report["differences"]
    by_kind: dict[str, set[str]] = {}
    for difference in report["first"]:
        by_kind.setdefault(difference["kind"], set()).add(difference["id"])
    return by_kind


SIZES = [(2_000, 200)] if not os.environ.get("OUTBOXCTL_TEST_LARGE") else [(100_000, 1_000)]


@pytest.mark.parametrize(("rows", "damaged"), SIZES)
def test_a_disaster_is_found_exactly_and_healed_exactly(
    cli: Cli, ground: Ground, rows: int, damaged: int
) -> None:
    ground.fill(rows)
    assert cli.json("verify", timeout=300)["differences"] == 0
    expected = ground.damage(Random(1), damaged)
    before = cli("verify", "--json", "--limit", "1000000", timeout=300)
    assert before.returncode == 4
    import json

    assert found(json.loads(before.stdout)) == expected
    repaired = cli.json("verify", "--repair", *WHO, timeout=300)["repaired"]
    assert repaired["left"] == 0
    assert repaired["enqueued"] + repaired["removed"] == damaged
    cli.ok("worker", "--drain", timeout=300)
    after = cli.json("verify", timeout=300)
    assert (after["differences"], after["in_flight"]) == (0, 0)
    ground.assert_same()
