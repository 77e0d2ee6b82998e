"""The nodes of the cluster, its leader (the elected master), and which nodes do not answer the others."""

from dataclasses import dataclass, field
from typing import Any

from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.published import FILTER, urls_of
from outboxctl.sink.transport.request import request

LEADERS = ("master_node", "cluster_manager_node")
STATE = ",".join((*LEADERS, "nodes.*.name"))
LONGEST = "3s"  # that the node that is asked waits for the answers of the others


@dataclass(frozen=True)
class Formation:
    """The cluster as the node that answers knows it; nodes by name.

    `leader` is empty where there is none. `silent` are nodes that are part of the cluster and did not answer
    in time. `urls`: where the nodes take requests, as they say themselves. `away`: the URLs of ELASTIC_URL
    (masked) that are unreachable.
    """

    leader: str
    silent: list[str]
    urls: list[str]
    away: list[str] = field(default_factory=list)


def formation(client: Client, away: list[str], *, urls: int) -> Formation:
    """Ask a node; others, in their turn, while one after another of the `urls` knows no leader.

    Only the node that is asked takes part in the first answer: a leader that hangs holds nothing up.
    Raises as `request`.
    """
    state: dict[str, Any] = {}
    for _ in range(urls):
        state = request(
            client, "GET", "_cluster", "state", "master_node,nodes", local=True, filter_path=STATE
        )
        if _leader(state):
            break
    names = {id_: str(node.get("name") or id_) for id_, node in state.get("nodes", {}).items()}
    http = request(client, "GET", "_nodes", "http", timeout=LONGEST, filter_path=FILTER)
    silent = sorted(name for id_, name in names.items() if id_ not in http.get("nodes", {}))
    leader = _leader(state)
    found = urls_of(http, client.where.split(", ")[0])
    return Formation(names.get(leader, leader), silent, found, away)


def _leader(state: dict[str, Any]) -> str:
    return next((str(state[name]) for name in LEADERS if state.get(name)), "")
