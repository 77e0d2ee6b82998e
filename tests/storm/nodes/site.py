"""A cluster and a database of a storm's own."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import servers
from engines.node import Node
from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import upgrade
from outboxctl.drills.services.model import EngineKind
from outboxctl.sink.index import index_setup
from search_cluster import SearchCluster, started
from storm.nodes.blows import SHARDS
from storm.plan import Site

INDEX = "storm"
GC_DELETES = "60s"  # the engines' default, not ours


@contextmanager
def opened(kind: EngineKind, replicas: int, postgres: str) -> Iterator[Site]:
    """A site of which nothing is left in the end, but for the database; `postgres` is a superuser's URL."""
    url = servers.new_database(postgres)
    with closing(Database(url)) as database:
        upgrade(database, None)
    with (
        tempfile.TemporaryDirectory() as logs,
        tempfile.TemporaryDirectory() as data,
        started(kind, Path(data)) as cluster,
    ):
        make_index(cluster, replicas)
        yield Site(url, cluster.url, INDEX, Path(logs), cluster)


def make_index(cluster: SearchCluster, replicas: int) -> None:
    """Behind a write alias, with the project's mapping; tombstones live as long as the engines have it."""
    shape = {"number_of_shards": SHARDS, "number_of_replicas": replicas, "index.gc_deletes": GC_DELETES}
    body = {
        "mappings": index_setup.MAPPING,
        "settings": index_setup.SETTINGS | shape,
        "aliases": {INDEX: {"is_write_index": True}},
    }
    Node(cluster.nodes[0].url).ok("PUT", f"/{INDEX}-000001", body)
    cluster.wait_for("green", index=INDEX)
