"""What a person would look at in a cluster of which some nodes are away."""

from dataclasses import dataclass
from typing import Any

from engines.node import Node
from search_cluster import SearchCluster


@dataclass(frozen=True)
class AnyNode:
    """The cluster, by way of its first node that is up; good for `invariants.check_invariants`."""

    cluster: SearchCluster

    @property
    def node(self) -> Node:
        """To ask anything of."""
        return Node(next(node.url for node in self.cluster.nodes if node.state == "up"))

    def mget(self, *, index: str, ids: list[str], source: bool) -> Any:
        """As the clients have it."""
        return self.node.mget(index=index, ids=ids, source=source)
