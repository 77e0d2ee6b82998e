"""The engine under test is that of TEST_ELASTIC_URL: `make test-engines` gives each of its kinds in turn."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from acceptance import lab
from engines.node import Node
from outboxctl.core.database import Database
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Noop, Reason, Verdict
from outboxctl.drills.services.model import EngineKind
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.index.index_setup import ensure
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect
from servers import Servers
from sink.rows.bench import Bench

Said = tuple[Verdict, Reason | Noop | None]
Send = Callable[..., list[Said]]
KIND: EngineKind = os.environ.get("OUTBOXCTL_TEST_ENGINE", "elasticsearch")  # type: ignore[assignment]


@pytest.fixture(scope="session")
def node(servers: Servers) -> Node:
    """The engine."""
    return Node(servers.sink)


@pytest.fixture
def client(servers: Servers) -> Iterator[Client]:
    """The product's own client, which has to find out whose it must be."""
    with closing(connect(load(elastic_url=servers.sink))) as client:
        yield client


@pytest.fixture
def index(client: Client, node: Node) -> Iterator[str]:
    """A write alias of its own, empty."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    ensure(client, name)
    yield name
    for each in node.ok("GET", f"/{name}*/_alias?expand_wildcards=all"):
        node.ok("DELETE", f"/{each}")


@pytest.fixture
def bench(sql: lab.Sql, db: Database, url: str) -> Bench:
    """Rows to put in, deliver and look at."""
    return Bench(sql, db, url)


@pytest.fixture
def send(client: Client, index: str) -> Send:
    """Delivers actions as the worker does, and says what became of each: verdict, and reason or no-op."""
    sink = ElasticSink(client, index)

    def deliver(*actions: BulkAction) -> list[Said]:
        found = sink.deliver(actions, deadline=Deadline.within(30.0)).findings
        return [(each.verdict, each.reason or each.noop) for each in found if each]

    return deliver
