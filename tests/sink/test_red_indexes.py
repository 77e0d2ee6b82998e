"""The health of the indexes that are written to, on a real engine: red ones are named, no others."""

from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from operations.doctor.fronts import front, says
from outboxctl.domain.errors import RefusedError
from outboxctl.domain.failures import Reason, Verdict
from outboxctl.sink.inspect.health import health_problem
from servers import Servers
from sinks import client_of

pytestmark = pytest.mark.real_engine
NOWHERE = {"index.routing.allocation.require._name": "no-such-node", "number_of_replicas": 0}


@pytest.fixture
def red(engine: Elasticsearch, index: str) -> Iterator[str]:
    """An index whose only shard has no place."""
    name = f"{index}-red"
    engine.indices.create(index=name, settings=NOWHERE, wait_for_active_shards=0)
    yield name
    engine.indices.delete(index=name)


def test_what_is_well_or_not_there_is_no_problem(engine: Elasticsearch, index: str) -> None:
    client = client_of(engine)
    assert health_problem(client, [index]) is None
    assert health_problem(client, [f"{index}-nope"]) is None, "that is what the look at the index itself says"
    assert health_problem(client, [index, f"{index}-nope"]) is None


def test_a_red_index_is_named_with_its_shards(engine: Elasticsearch, index: str, red: str) -> None:
    client = client_of(engine)
    for names in ([red], [index, red], [index, f"{index}-nope", red]):
        found = health_problem(client, names)
        assert found is not None
        assert (found.verdict, found.reason) == (Verdict.OUTAGE, Reason.UNAVAILABLE)
        assert found.public == f"unavailable: the index {red} is red: shard 0 of 1 without a working copy"


def test_a_red_index_that_an_alias_only_reads_is_no_problem(
    engine: Elasticsearch, index: str, red: str
) -> None:
    engine.indices.put_alias(index=red, name=index, is_write_index=False)
    engine.indices.put_alias(index=f"{index}-000001", name=index, is_write_index=True)
    assert health_problem(client_of(engine), [index]) is None


@pytest.mark.parametrize(
    "health",
    [
        {"status": "red", "discovered_master": False},  # OpenSearch
        {"status": "red", "indices": {"x-000001": {"status": "green", "shards": {}}}},  # Elasticsearch
    ],
)
def test_a_cluster_without_a_leader_says_so(servers: Servers, health: dict[str, object]) -> None:
    with front(servers.sink, {"/_cluster/health/*": says(200, health)}) as url, Elasticsearch(url) as engine:
        found = health_problem(client_of(engine), ["x"])
    assert found is not None
    assert found.public.startswith("unavailable: the cluster has no leader")


def test_who_may_not_ask_is_told_so(servers: Servers, index: str) -> None:
    denied = says(403, {"error": {"type": "security_exception", "reason": "no"}})
    with (
        front(servers.sink, {"/_cluster/health/*": denied}) as url,
        Elasticsearch(url) as engine,
        pytest.raises(RefusedError),
    ):
        health_problem(client_of(engine), [index])
