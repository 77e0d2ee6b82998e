"""A deleted document stays deleted: an upsert hangs in a frozen node till the index has forgotten the delete.

Tombstones are kept in memory. Each test takes them away in another way, and wakes the node then.
"""

import signal
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from acceptance import lab
from cluster.conftest import NewIndex
from engines.node import Node
from processes import Cli, Worker, eventually
from search_cluster import SearchCluster

pytestmark = pytest.mark.timeout(400)
LENGTH = 50_000  # of a text: so many bytes are the request, and no probe
# Seconds: of a claim, and for which a write may be held up on its way.
QUICK = {"OUTBOX_LEASE_SECONDS": "2", "OUTBOX_LATE_WRITE_SECONDS": "5"}
DETECTED = 90.0  # seconds until a cluster has noticed that a node is frozen, and acted on it
CONFLICT, MISSING = 409, 404


@dataclass
class Hanging:
    """A cluster in which an upsert hangs.

    `frozen` is the node through which it is sent, `holder` has the only copy of the index, and `other` leads
    and delivers everything else.
    """

    cluster: SearchCluster
    sql: psycopg.Connection
    worker: Callable[..., Worker]
    cli: Cli
    other: str
    frozen: str
    holder: str
    index: str = ""

    @property
    def node(self) -> Node:
        """To ask anything of."""
        return Node(self.cluster.node(self.other).url)

    @property
    def up(self) -> int:
        """Nodes that the others count on."""
        return self.cluster.members

    def settings(self, node: str) -> dict[str, str]:
        """Those of a worker that delivers through this node."""
        named = {"ELASTIC_URL": self.cluster.node(node).url, "ELASTIC_INDEX": self.index}
        return QUICK | named | {"OUTBOX_LATE_WRITE_SECONDS": "60"}

    def drained(self) -> bool:
        """Deliver what is due through `other`; whether every event is done."""
        self.cli.ok("worker", "--drain", env=self.settings(self.other))
        return self.done()

    def done(self) -> bool:
        """Whether every event is."""
        return not self.sql.execute("SELECT FROM search_outbox_events WHERE status <> 'done'").fetchall()

    def hang(self) -> str:
        """Have a worker send an upsert at version 10 to a node that freezes, and kill it.

        The document's id.
        """
        entity = uuid.uuid4()
        # A longer lease lets the node wait longer for the shard, which it has lost sight of once it wakes.
        running = self.worker(**self.settings(self.frozen) | {"OUTBOX_LEASE_SECONDS": "30"})
        lab.put(self.sql)
        eventually(self.done, what="sent: the worker knows now that the name is an alias")
        self.cluster.freeze(self.frozen)
        lab.source(self.sql, entity, 10, text="x" * LENGTH)
        lab.event(self.sql, entity, 10)
        port = int(self.cluster.node(self.frozen).url.rpartition(":")[2])
        eventually(lambda: received(port) > LENGTH, what="the request is in the node's socket")
        running.signal(signal.SIGKILL)
        return f"block:{entity}"

    def delete(self, document: str) -> None:
        """Delete the entity at version 12, and have another worker deliver that."""
        entity = uuid.UUID(document.partition(":")[2])
        with self.sql.transaction():
            self.sql.execute("DELETE FROM search_index WHERE entity_id = %s", [entity])
            lab.event(self.sql, entity, 12, op="delete")
        eventually(self.drained, within=90, what="delivered by another worker")
        assert self.version(document) is None
        assert self.remembers(document)

    def version(self, document: str) -> int | None:
        """Its version in the index; None where it is not there."""
        found = self.node.ask("GET", f"/{self.index}/_doc/{document}")[1]
        return int(found["_version"]) if found["found"] else None

    def forgets(self, document: str) -> bool:
        """Whether the index does not know the version of the delete after a refresh, if it answers now."""
        with suppress(OSError):  # a node that was just started may let a request wait
            self.node.ok("POST", "/_refresh")
            return not self.remembers(document)
        return False

    def remembers(self, document: str) -> bool:
        """Whether the index knows the version of the delete: it refuses one at version 0."""
        path = f"/{self.index}/_doc/{document}?version=0&version_type=external"
        status, answer = self.node.ask("DELETE", path)
        assert status in (CONFLICT, MISSING), answer
        return status == CONFLICT


def received(port: int) -> int:
    """The most bytes that wait to be read in a socket of this port."""
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    sockets = [fields for line in lines if (fields := line.split())[1].endswith(f":{port:04X}")]
    return max((int(fields[4].partition(":")[2], 16) for fields in sockets), default=0)


def restarted(place: Hanging) -> None:
    """The node with the only copy is stopped in good order, and started again."""
    place.node.ok("POST", f"/{place.index}/_flush?force=true")
    place.cluster.stop(place.holder)
    place.cluster.restart(place.holder)


def killed(place: Hanging) -> None:
    """The node with the only copy is killed, and started again."""
    place.node.ok("POST", f"/{place.index}/_flush?force=true")
    place.cluster.kill(place.holder)
    place.cluster.restart(place.holder)


def a_replica_promoted(place: Hanging) -> None:
    """A replica that was made after a flush becomes the primary."""
    place.node.ok("POST", f"/{place.index}/_flush?force=true")
    both = {"require._name": None, "include._name": f"{place.holder},{place.other}"}
    settings = {"number_of_replicas": 1, "routing.allocation": both}
    place.node.ok("PUT", f"/{place.index}/_settings", {"index": settings})
    eventually(lambda: place.cluster.health(place.index)["active_shards"] == 2, what="a replica")
    index = next(iter(place.node.ok("GET", f"/_alias/{place.index}")))
    cancel = {"index": index, "shard": 0, "node": place.holder, "allow_primary": True}
    place.node.ok("POST", "/_cluster/reroute", {"commands": [{"cancel": cancel}]})
    eventually(lambda: place.cluster.holder(place.index) == place.other, what="promoted")


@pytest.fixture
def place(
    cluster: SearchCluster,
    new_index: NewIndex,
    sql: psycopg.Connection,
    worker: Callable[..., Worker],
    cli: Cli,
) -> Hanging:
    """The leader cannot be the one that is restarted or frozen: a new one would take as long again."""
    other = str(cluster.leader())
    frozen, holder = (node.name for node in cluster.nodes if node.name != other)
    made = Hanging(cluster, sql, worker, cli, other, frozen, holder)
    on_holder: dict[str, Any] = {"routing.allocation.require._name": holder}
    made.index = new_index(replicas=0, **on_holder)
    return made


@pytest.mark.parametrize("forget", [restarted, killed, a_replica_promoted])
def test_a_deleted_document_does_not_come_back_for_good(
    place: Hanging, forget: Callable[[Hanging], None]
) -> None:
    document = place.hang()
    place.delete(document)
    eventually(lambda: place.up == 2, within=DETECTED, what="the others do not wait for it any more")
    forget(place)
    place.cluster.wait_for("green", index=place.index)
    eventually(lambda: place.forgets(document), what="forgotten")
    place.cluster.wake(place.frozen)
    eventually(lambda: place.version(document) == 10, within=DETECTED, what="the late write arrives")
    eventually(lambda: place.drained() and not place.version(document), within=90, what="deleted again")
