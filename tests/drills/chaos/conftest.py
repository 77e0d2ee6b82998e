"""A proxy in front of the tests' sink, and what really is in the index behind it."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from elasticsearch import Elasticsearch

from outboxctl.drills.proxy import Proxy
from outboxctl.sink.delivery.bulk import BulkAction, body
from outboxctl.sink.index.index_setup import ensure
from servers import Servers
from sinks import client_of

IDS = "abcdefgh"
Held = Callable[[], list[str]]


@pytest.fixture
def proxy(servers: Servers) -> Iterator[Proxy]:
    """Healthy; give it a fault."""
    with Proxy(servers.sink) as made:
        yield made


@pytest.fixture(scope="module")
def shared_index(engine: Elasticsearch) -> Iterator[str]:
    """One index for all tests of a module: making one takes longer than most of them."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    ensure(client_of(engine), name)
    yield name
    engine.indices.delete(index=f"{name}-000001")


@pytest.fixture
def target(engine: Elasticsearch, shared_index: str) -> Iterator[str]:
    """That index, and afterwards none of the documents a to h in it."""
    yield shared_index
    engine.bulk(index=shared_index, operations=body([BulkAction(id_, 1, None) for id_ in IDS]))  # type: ignore[arg-type]


@pytest.fixture
def held(engine: Elasticsearch, target: str) -> Held:
    """Which of these the sink holds, asked without the proxy."""

    def ids() -> list[str]:
        docs = engine.mget(index=target, ids=list(IDS))["docs"]
        return [doc["_id"] for doc in docs if doc["found"]]

    return ids
