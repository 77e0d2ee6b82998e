"""The cluster's nodes, leader, and this user's rights, asked of one node: the leader may hang."""

from dataclasses import dataclass, field
from typing import Any

from outboxctl.sink.roles import GRANTS, READS
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.discovery import FILTER, urls_of
from outboxctl.sink.transport.request import request

PATIENCE = "3s"  # that the node that is asked waits for the answers of the others
LEADERS = ("master_node", "cluster_manager_node")  # of the elected master
STATE = ",".join((*LEADERS, "nodes.*.name"))


@dataclass(frozen=True)
class Formation:
    """The cluster as the node that answers knows it; nodes by name."""

    leader: str  # empty: there is none
    silent: list[str]  # nodes of the cluster that did not answer in time
    urls: list[str]  # where the nodes take requests, as they say themselves
    away: list[str] = field(default_factory=list)  # URLs of ELASTIC_URL (masked) that are unreachable


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
    http = request(client, "GET", "_nodes", "http", timeout=PATIENCE, filter_path=FILTER)
    silent = sorted(name for id_, name in names.items() if id_ not in http.get("nodes", {}))
    leader = _leader(state)
    found = urls_of(http, client.where.split(", ")[0])
    return Formation(names.get(leader, leader), silent, found, away)


def _leader(state: dict[str, Any]) -> str:
    return next((str(state[name]) for name in LEADERS if state.get(name)), "")


OPERATOR = ("manage",)
# Security is off, or the product has none: then there is no such API, and nothing is lacking.
NO_SUCH_API = frozenset({400, 404, 405})


@dataclass(frozen=True)
class SinkRights:
    """Privileges on `index` that are lacking, by what they are for."""

    index: str
    worker: list[str]
    reader: list[str]
    operator: list[str]


def rights(client: Client, index: str, *, projected: bool = False) -> SinkRights:
    """Ask the security API; `projected`: for a projection's index, of which a worker lists the documents."""
    (grant,) = [each for each in GRANTS if each.role == "worker"]
    worker = (*grant.index, *grant.projected) if projected else grant.index
    reader = [privilege for privilege in READS if privilege not in worker]
    wanted = [{"names": [index], "privileges": [*worker, *reader, *OPERATOR]}]
    path = ("_security", "user", "_has_privileges")
    answer = request(client, "POST", *path, absent=NO_SUCH_API, body={"index": wanted}) or {}
    held = answer.get("index", {}).get(index, {})
    lacking = ([p for p in some if held.get(p) is False] for some in (worker, reader, OPERATOR))
    return SinkRights(index, *lacking)
