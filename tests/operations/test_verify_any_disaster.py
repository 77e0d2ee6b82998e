"""Random damage to a handful of entities, again and again: found exactly, healed exactly."""

from random import Random
from threading import Event
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operations.disaster import WAYS, Ground
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Difference, Sides
from outboxctl.operations.verify.repair import Repair
from outboxctl.settings import Settings
from sink.rows.bench import Bench

pytestmark = pytest.mark.real_engine
DAMAGES = st.lists(st.sampled_from(WAYS), min_size=1, max_size=12)


@pytest.fixture
def ground(sql: psycopg.Connection[Any], engine: Elasticsearch, index: str) -> Ground:
    return Ground.filled(sql, engine, index, 40)


@pytest.mark.slow(reason="damages and compares a system in many random ways")
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(rounds=st.lists(DAMAGES, min_size=1, max_size=3), seed=st.integers(0, 1_000))
@pytest.mark.usefixtures("way")
def test_any_disaster(
    ground: Ground, sides: Sides, url: str, settings: Settings, rounds: list[Any], seed: int
) -> None:
    bench = Bench(ground.sql, sides.database, url)
    for ways in rounds:
        rows = len(ground.documents())
        expected = ground.damage(Random(seed), min(len(ways), rows), ways)
        differences = list(compare(sides))
        assert by_kind(differences) == expected
        heal(sides, differences)
        bench.deliver(settings.sink_urls[0], index=ground.index)
        assert list(compare(sides)) == []
        ground.assert_same()


def by_kind(differences: list[Difference]) -> dict[str, set[str]]:
    assert not any(difference.in_flight for difference in differences)
    found: dict[str, set[str]] = {}
    for difference in differences:
        assert difference.id not in found.get(difference.kind, set())
        found.setdefault(difference.kind, set()).add(difference.id)
    return found


def heal(sides: Sides, differences: list[Difference]) -> None:
    repair = Repair(sides, "alice", "drill", remove_foreign=True)
    repair.run(differences, stop=Event())
    assert repair.done.left == 0
