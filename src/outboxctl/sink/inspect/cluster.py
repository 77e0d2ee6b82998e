"""The cluster: nodes, leader, health of indexes, rights. One node is asked: the leader may hang."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from outboxctl.domain.errors import RefusedError, UnreachableError
from outboxctl.domain.printable import brief
from outboxctl.sink.roles import GRANTS, READS
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.discovery import FILTER, urls_of
from outboxctl.sink.transport.request import request

PATIENCE = "3s"  # that the node that is asked waits for the answers of the others
LEADERS = ("master_node", "cluster_manager_node")  # of the elected master
STATE = ",".join((*LEADERS, "nodes.*.name"))
TIMED_OUT = 408  # of a health that was to wait for an index: there is none
MOST = 3  # shards whose reason is asked for
SHARDS = "status,timed_out,indices.*.shards.*.primary_active,indices.*.shards.*.active_shards"


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


@dataclass(frozen=True)
class Copies:
    """Active copies of each shard of an index by its number; `away`: those without a primary, and why."""

    active: dict[int, int] = field(default_factory=dict)
    away: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class IndexHealth:
    """`status`: green, yellow or red. `copies` by index."""

    status: str = "red"
    copies: dict[str, Copies] = field(default_factory=dict)


def health(client: Client, name: str) -> IndexHealth:
    """That of an index or alias, with the reasons of three primaries that are away. Raises as `request`."""
    options = {"level": "shards", "filter_path": SHARDS, "local": True, "timeout": "0s"}
    answer = request(client, "GET", "_cluster", "health", name, absent=(TIMED_OUT,), **options) or {}
    if answer.get("timed_out"):
        return IndexHealth()
    copies = {index: _copies(facts) for index, facts in answer.get("indices", {}).items()}
    for index, each in copies.items():
        each.away.update({shard: _reason(client, index, shard) for shard in list(each.away)[:MOST]})
    return IndexHealth(str(answer.get("status", "red")), copies)


def _copies(facts: dict[str, Any]) -> Copies:
    """By an index's part of the health of its shards."""
    shards = {int(number): shard for number, shard in facts.get("shards", {}).items()}
    active = {number: int(shards[number].get("active_shards", 0)) for number in sorted(shards)}
    return Copies(active, {number: "" for number in active if not shards[number].get("primary_active")})


def _reason(client: Client, index: str, shard: int) -> str:
    """Why the primary is not assigned, in the cluster's words; empty where its leader does not say it."""
    body = {"index": index, "shard": shard, "primary": True}
    with suppress(RefusedError, UnreachableError):
        said = request(client, "POST", "_cluster", "allocation", "explain", body=body)
        why = said.get("unassigned_info", {})
        cause = " since ".join(str(why[key]) for key in ("reason", "at") if why.get(key))
        return brief(": ".join(filter(None, (cause, str(said.get("allocate_explanation", ""))))), 300)
    return ""


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
