"""A search cluster of several real nodes on 127.0.0.1, a process a node, to be killed, frozen and restarted.

Every wait is bounded; a failure names the node and ends with what its log says.
"""

import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills.services import engines, place
from outboxctl.drills.services.model import EngineKind, silent
from outboxctl.drills.services.process import log_tail, within
from search_node import ClusterNode

JOIN_SECONDS = 240.0  # on a busy machine; 5 s otherwise
SIGNAL_SECONDS = 5.0
COLORS = ("red", "yellow", "green")


@dataclass(frozen=True)
class SearchCluster:
    """The nodes, n1 and so on."""

    kind: EngineKind
    nodes: tuple[ClusterNode, ...]
    settings: Mapping[str, str]

    @property
    def url(self) -> str:
        """Those of all nodes, comma-separated: a value for `ELASTIC_URL`."""
        return ",".join(node.url for node in self.nodes)

    def node(self, name: str) -> ClusterNode:
        """The node of this name. UsageError where there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise UsageError(f"no node {name} in the cluster", hint=f"there are {names}")

    def kill(self, name: str) -> None:
        """SIGKILL; returns once it has ended."""
        self.node(name).end(signal.SIGKILL)

    def stop(self, name: str) -> None:
        """SIGTERM, after 20 s SIGKILL; returns once it has ended."""
        self.node(name).end(signal.SIGTERM)

    def freeze(self, name: str) -> None:
        """SIGSTOP: the kernel accepts connections to it, and nothing answers. Returns once it has stopped."""
        node = self.node(name)
        node.send(signal.SIGSTOP)
        within(SIGNAL_SECONDS, lambda: node.state != "up")

    def wake(self, name: str) -> None:
        """SIGCONT; returns once it runs."""
        node = self.node(name)
        node.send(signal.SIGCONT)
        within(SIGNAL_SECONDS, lambda: node.state != "frozen")

    def restart(self, *names: str) -> None:
        """Start these nodes, or all that are down, on their data; returns once each has joined a leader.

        UnreachableError where one does not within four minutes.
        """
        wanted = [self.node(name) for name in names] or [node for node in self.nodes if node.state == "down"]
        for node in wanted:
            if node.state != "down":
                raise UsageError(f"{node.name} is {node.state}", hint="kill or stop it first")
        for node in wanted:
            node.start(self.kind, self.settings, silent)
        for node in wanted:
            self._wait_until_joined(node)

    def heal(self, seconds: float = 90.0) -> None:
        """Wake and restart whichever node is not up; returns once all are in the cluster, green or not.

        UnreachableError where they are not within so many seconds.
        """
        for node in self.nodes:
            self.wake(node.name)
        self.restart()
        self.wait_for("red", seconds)

    def leader(self) -> str | None:
        """The name of the node that leads, as the first node that answers and sees one says."""
        return next(filter(None, (node.leader() for node in self.nodes)), None)

    def health(self, index: str = "") -> dict[str, Any]:
        """`GET _cluster/health`, of all or of an index. UnreachableError where no node says."""
        path = f"/_cluster/health/{index}?master_timeout=2s&timeout=1s"
        for node in self.nodes:
            if answer := node.ask(path):
                return answer
        raise UnreachableError(f"no node says how healthy the cluster is: {self._states()}")

    @property
    def members(self) -> int:
        """How many nodes the leader counts; 0 where there is none, or no node says."""
        with suppress(UnreachableError):
            return int(self.health()["number_of_nodes"])
        return 0

    def holder(self, index: str, shard: int = 0) -> str:
        """The name of the node that has the primary. UnreachableError where none has."""
        path = f"/_cluster/state/routing_table,nodes/{index}?local=true"
        state = next(filter(None, (node.ask(path) for node in self.nodes)), {})
        for each in state.get("routing_table", {}).get("indices", {}).values():
            for copy in each["shards"].get(str(shard), ()):
                if copy["primary"] and copy["node"] in state["nodes"]:
                    return str(state["nodes"][copy["node"]]["name"])
        raise UnreachableError(f"no node has the primary of shard {shard} of {index}: {self._states()}")

    def wait_for(self, status: str = "green", seconds: float = 60.0, index: str = "") -> None:
        """Wait until the cluster, or an index, is at least that healthy, with every node that is up in it.

        UnreachableError where it is not within so many seconds.
        """
        if not within(seconds, lambda: self._healthy(status, index)):
            what = f"the index {index}" if index else "the cluster"
            why = f"{what} is not {status} after {seconds:g} s: {self._states()}"
            raise UnreachableError(why, hint="\n".join(log_tail(node.log) for node in self.nodes))

    def _healthy(self, status: str, index: str) -> bool:
        with suppress(UnreachableError):
            health = self.health(index)
            up = sum(node.state == "up" for node in self.nodes)
            enough = COLORS.index(health["status"]) >= COLORS.index(status)
            return bool(enough and health["number_of_nodes"] >= up)
        return False

    def _wait_until_joined(self, node: ClusterNode) -> None:
        # A node that has joined may lose its leader at once, to an election: it is asked no second time.
        joined = within(JOIN_SECONDS, lambda: node.state == "down" or node.leader() is not None)
        if node.state == "down":
            raise UnreachableError(f"{node.name} ended while it started", hint=log_tail(node.log))
        if not joined:
            why = f"{node.name} has not joined a cluster after {JOIN_SECONDS:g} s: {self._states()}"
            raise UnreachableError(why, hint=log_tail(node.log))

    def _states(self) -> str:
        return ", ".join(f"{node.name} {node.state}" for node in self.nodes)


@contextmanager
def started(kind: EngineKind, folder: Path, *, settings: Sequence[str] = ()) -> Iterator[SearchCluster]:
    """Three new nodes that are green, on free ports; in the end their processes and their data are gone.

    The processes end with this one, also when it is killed. `settings` are node settings, `name=value`.
    `folder` must exist and be one cluster's at a time; where `nobody`, who runs the nodes for root, cannot
    reach it, the data is elsewhere.
    UnreachableError where this machine lacks Maven or a JDK, or a node does not start.
    """
    engines.parts(kind, silent)
    home = place.home(folder, f"{kind}-cluster")
    for leftover in home.iterdir():  # of a run that was killed
        shutil.rmtree(leftover)
    members = tuple(ClusterNode(f"n{number}", home / f"n{number}") for number in (1, 2, 3))
    more = dict(pair.split("=", 1) for pair in settings)
    cluster = SearchCluster(kind, members, _discovery(kind, members) | more)
    try:
        cluster.restart()
        cluster.wait_for("green")
        yield cluster
    finally:
        _end(cluster)
        shutil.rmtree(home, ignore_errors=True)
        if home.parent != folder:
            with suppress(OSError):  # services of the same state folder have theirs there, too
                home.parent.rmdir()


def _discovery(kind: EngineKind, members: Sequence[ClusterNode]) -> dict[str, str]:
    role = "cluster_manager" if kind.startswith("opensearch") else "master"
    return {
        "discovery.seed_hosts": ",".join(node.seed for node in members),
        f"cluster.initial_{role}_nodes": ",".join(node.name for node in members),
    }


def _end(cluster: SearchCluster) -> None:
    for node in cluster.nodes:
        node.end(signal.SIGKILL)
        node.release()
