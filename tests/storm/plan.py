"""How much is to happen, and where."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from elasticsearch import Elasticsearch

import servers
from clusters import cluster
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.sink.index.index_setup import ensure
from search_cluster import SearchCluster, started
from sinks import client_of

INDEX = "storm"
# The shop has two-phase commits. Durability would only slow the machine down: nothing here kills the server.
POSTGRES = """
max_prepared_transactions = 20
max_connections = 200
shared_buffers = 128MB
synchronous_commit = off
"""


@dataclass(frozen=True)
class Plan:
    """How much of everything; `kills` are blows of all kinds together, `batch` events a claim.

    `transactions` are those of the shop, whose documents a declared projection makes; 0: there is no shop.
    `stock` are its documents behind one row. An author writes to `hot` entities at a time, `per_entity`
    events to each, and waits while `backlog` events are under way. What must come is waited for `patience`
    seconds. `policy`: OUTBOX_OUTAGE_POLICY, unset where it is empty.
    """

    events: int = 40_000
    kills: int = 160
    workers: int = 3
    batch: int = 100
    seed: int = 1
    policy: str = ""
    transactions: int = 12_000
    stock: int = 2_500
    hot: int = 40
    per_entity: int = 5
    backlog: int = 1_000
    patience: float = 180
    lease: float = 2

    def rng(self, purpose: str) -> Random:
        """Chance of its own for each purpose, so that threads do not disturb each other's."""
        return Random(f"{self.seed}/{purpose}")


@dataclass(frozen=True)
class Site:
    """Where it storms: a migrated, empty database, a real engine with an index, a folder for logs.

    The engine may be the first node of a `cluster`.
    """

    url: str
    sink: str
    index: str
    folder: Path
    cluster: SearchCluster | None = None

    @property
    def products(self) -> str:
        """The index of the shop."""
        return f"{self.index}-products"


@contextmanager
def own_site(nodes: int = 1) -> Iterator[Site]:
    """One on servers of TEST_DATABASE_URL and TEST_ELASTIC_URL, else on servers that end with it.

    With three `nodes` the engine is a cluster of its own. Exits where only an imitation could be started.
    """
    with servers.started() as both, TemporaryDirectory() as folder, ExitStack() as stack:
        sys.stderr.write(f"servers: {both.label}\n")
        if not both.real_engine:
            sys.exit("a real Elasticsearch is needed, and could not be had here")
        several = stack.enter_context(started("elasticsearch", Path(folder))) if nodes > 1 else None
        sink = several.nodes[0].url if several else both.sink
        with _postgres(both) as postgres:
            url = servers.new_database(postgres)
            with closing(Database(url)) as database, closing(Elasticsearch(sink)) as engine:
                upgrade(database, None)
                ensure(client_of(engine), INDEX)
            yield Site(url, sink, INDEX, Path(folder), several)


@contextmanager
def _postgres(both: servers.Servers) -> Iterator[str]:
    """The superuser's URL of the given PostgreSQL, else of one with settings of the storm's own."""
    with nullcontext(both.postgres) if os.environ.get("TEST_DATABASE_URL") else _own_postgres() as url:
        yield url


@contextmanager
def _own_postgres() -> Iterator[str]:
    """The superuser's URL of one with settings of the storm's own."""
    with cluster(POSTGRES) as own:
        yield own.url
