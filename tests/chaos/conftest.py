"""A proxy in front of the tests' sink, and what really is in the index behind it."""

from collections.abc import Callable, Iterator

import pytest
from elasticsearch import Elasticsearch

from outboxctl.chaos.proxy import Proxy
from servers import Servers

Held = Callable[[], list[str]]


@pytest.fixture
def proxy(servers: Servers) -> Iterator[Proxy]:
    """Healthy; give it a fault."""
    with Proxy(servers.sink) as made:
        yield made


@pytest.fixture
def held(engine: Elasticsearch, index: str) -> Held:
    """The ids of a, b, c, … that the sink holds, asked without the proxy."""

    def ids() -> list[str]:
        docs = engine.mget(index=index, ids=list("abcdefgh"))["docs"]
        return [doc["_id"] for doc in docs if doc["found"]]

    return ids
