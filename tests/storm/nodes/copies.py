"""Which copies of a shard must know all that was acknowledged.

A read by id is answered by any copy that the asked node believes to be active. A node that was frozen, or has
not heard of a change yet, believes wrongly, and answers what is old. So each node is asked for its own copies
alone, and an answer counts only if that copy was an active one before and after, as a leader sees it whom two
of three nodes have: such a copy has every write that was acknowledged before it was asked, for a primary
acknowledges none before each copy has it, or the leader has taken the copy out.
"""

from collections import Counter
from typing import Any, NamedTuple

from search_cluster import SearchCluster

PATIENCE = 2.0  # seconds for a node's answer
PATH = "/_cluster/state/master_node,nodes,routing_table,metadata/{index}?local=true&filter_path={fields}"
FIELDS = (
    "master_node,nodes.*.name,metadata.cluster_coordination.term,"
    "routing_table.indices.*.shards.*.state,routing_table.indices.*.shards.*.node,"
    "routing_table.indices.*.shards.*.allocation_id"
)


class Copy(NamedTuple):
    """One copy of a shard: where it is, and which of those that were there one after the other."""

    shard: int
    node: str
    allocation: str


def active(cluster: SearchCluster, index: str) -> frozenset[Copy] | None:
    """The active copies, as the leader of most nodes sees them; None where no such leader answers."""
    path = PATH.format(index=index, fields=FIELDS)
    states = {node.name: node.ask(path, seconds=PATIENCE) for node in cluster.nodes}
    views = {name: _leader(state) for name, state in states.items() if state.get("master_node")}
    for (term, leader), voices in Counter(views.values()).items():
        if voices > len(cluster.nodes) / 2 and views.get(leader) == (term, leader):
            return _started(states[leader])
    return None


def _leader(state: dict[str, Any]) -> tuple[int, str]:
    """Its term and its name."""
    return state["metadata"]["cluster_coordination"]["term"], state["nodes"][state["master_node"]]["name"]


def _started(state: dict[str, Any]) -> frozenset[Copy]:
    """Of the one index; none where a leader that was just elected has not read the indexes from disk yet."""
    indices = state.get("routing_table", {}).get("indices", {})
    return frozenset(
        Copy(int(number), state["nodes"][copy["node"]]["name"], copy["allocation_id"]["id"])
        for index in indices.values()
        for number, copies in index["shards"].items()
        for copy in copies
        if copy["state"] == "STARTED"
    )
