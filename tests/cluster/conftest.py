"""One cluster a module, of the kind in TEST_CLUSTER_ENGINE; a test begins with all of its nodes well."""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

import servers as test_servers
from cluster.eyes import AnyNode
from outboxctl.domain.errors import UnreachableError
from outboxctl.drills import services
from outboxctl.drills.services import engines
from outboxctl.drills.services.model import EngineKind, silent
from outboxctl.sink.index import index_setup
from processes import environment
from search_cluster import SearchCluster, started

KIND: EngineKind = os.environ.get("TEST_CLUSTER_ENGINE", "opensearch")  # type: ignore[assignment]
# What a worker waits for comes in seconds, not in minutes.
QUICK = {
    "OUTBOX_LEASE_SECONDS": "8",
    "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
    "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
    "OUTBOX_MAX_BACKOFF_SECONDS": "1",
}


class NewIndex(Protocol):
    """See the fixture `new_index`."""

    def __call__(self, shards: int = 1, replicas: int = 1, **settings: Any) -> str:
        """Its alias."""
        ...


@pytest.fixture(scope="session")
def cluster_folder() -> Iterator[Path]:
    """Where a cluster keeps its data; what killed runs left in such folders is deleted."""
    test_servers.clear_up()
    folder = test_servers.STATES / str(os.getpid()) / "cluster"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)  # with the servers of this run it may have gone before


@pytest.fixture(scope="module")
def module_cluster(request: pytest.FixtureRequest, cluster_folder: Path) -> Iterator[SearchCluster]:
    """The nodes of a module's tests, with the node settings of its `NODE_SETTINGS` (`name=value`), if any."""
    try:
        engines.parts(KIND, silent)
    except UnreachableError as error:
        pytest.skip(f"no cluster of {KIND} without Maven and a JDK: {error}")
    with started(KIND, cluster_folder, settings=getattr(request.module, "NODE_SETTINGS", ())) as cluster:
        yield cluster


@pytest.fixture
def cluster(module_cluster: SearchCluster) -> SearchCluster:
    """Three nodes that are up, awake and green, without an index."""
    module_cluster.heal()
    _clear(AnyNode(module_cluster))
    module_cluster.wait_for("green")
    return module_cluster


def _clear(engine: AnyNode) -> None:
    """Delete what the test before left: its indexes, and its settings of the cluster."""
    for index in engine.node.ok("GET", "/_alias?expand_wildcards=all"):
        engine.node.ok("DELETE", f"/{index}")
    engine.node.ok("PUT", "/_cluster/settings", {kind: {"*": None} for kind in ("persistent", "transient")})


@pytest.fixture
def engine(cluster: SearchCluster) -> AnyNode:
    """The test's own eyes, which look through a node that is up."""
    return AnyNode(cluster)


@pytest.fixture
def new_index(cluster: SearchCluster, engine: AnyNode) -> NewIndex:
    """Makes an empty write alias with the project's mapping and these settings (`gc_deletes="60s"`)."""

    def make(shards: int = 1, replicas: int = 1, **settings: Any) -> str:
        name = f"t-{uuid.uuid4().hex[:12]}"
        own = index_setup.SETTINGS | {"number_of_shards": shards, "number_of_replicas": replicas}
        more = {f"index.{key}": value for key, value in settings.items()}
        body = {
            "mappings": index_setup.MAPPING,
            "settings": own | more,
            "aliases": {name: {"is_write_index": True}},
        }
        engine.node.ok("PUT", f"/{name}-000001", body)
        cluster.wait_for("green", index=name)
        return name

    return make


@pytest.fixture
def index(new_index: NewIndex) -> str:
    """One of three shards, each on two nodes."""
    return new_index(shards=3)


@pytest.fixture
def env(url: str, cluster: SearchCluster, index: str) -> dict[str, str]:
    """The settings of a worker on this test's database, on all nodes; `worker` and `cli` start with them."""
    port = str(services.fresh_port())
    where = {"DATABASE_URL": url, "ELASTIC_URL": cluster.url, "ELASTIC_INDEX": index}
    return environment(**where, OUTBOX_METRICS_PORT=port, **QUICK)
