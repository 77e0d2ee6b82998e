"""Rules for the cluster's nodes: a leader, nodes that are silent, and which of them ELASTIC_URL names."""

from collections.abc import Iterator

from outboxctl.domain.printable import brief
from outboxctl.net.urls import credentials, mask, parse_url
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import export, request
from outboxctl.settings import Settings
from outboxctl.settings.kinds import SinkNodes
from outboxctl.sink.inspect.formation import Formation

FORMATION = RuleGroup("nodes and leader", vital=True, spared=True)
START = "start the nodes that are away: more than half of those that may lead must be up"
LOOK = "look at that machine: is it paused, swapping, or collecting garbage? Then restart the node"
DISCOVERED = "export OUTBOX_SINK_NODES=discovered"


@FORMATION.rule("no-leader", ERROR)
def no_leader(formation: Formation, _: Settings) -> Iterator[Case]:
    """Without a leader (the elected master) nothing is written, and events wait as in an outage."""
    if not formation.leader:
        away = f" {', '.join(formation.away)} cannot be reached." if formation.away else ""
        mend = request("GET", "_cluster/health?local=true") + f"  # then {START}"
        yield f"The cluster has no leader.{away}", mend


@FORMATION.rule("leader-silent", ERROR)
def leader_silent(formation: Formation, _: Settings) -> Iterator[Case]:
    """Until the others elect another one, which can take half a minute, new indexes and mappings wait.

    Writes to shards with a copy on that node wait, too.
    """
    if formation.leader and formation.leader in formation.silent:
        yield f"The leader, node {formation.leader}, does not answer the other nodes.", LOOK


@FORMATION.rule("node-silent", WARNING)
def silent(formation: Formation, _: Settings) -> Iterator[Case]:
    """Writes to shards with a copy on that node wait until the others give it up."""
    for node in formation.silent if formation.leader else ():
        if node != formation.leader:
            yield f"The node {node} is part of the cluster and does not answer the other nodes.", LOOK


@FORMATION.rule("nodes-unnamed", WARNING)
def unnamed(formation: Formation, settings: Settings) -> Iterator[Case]:
    """With the nodes that ELASTIC_URL names nothing is delivered, although the cluster serves."""
    if _fewer(formation, settings) and _named(formation, settings):
        yield _count(formation, settings), _all(formation, settings)


@FORMATION.rule("nodes-elsewhere", INFO)
def elsewhere(formation: Formation, settings: Settings) -> Iterator[Case]:
    """Behind a load balancer that is right. Otherwise one node's death ends all deliveries."""
    if _fewer(formation, settings) and not _named(formation, settings):
        what = f"{_count(formation, settings)} None is an address that the cluster names for itself."
        yield what, f"nothing, behind a load balancer or proxy; else {_all(formation, settings)}"


def _fewer(formation: Formation, settings: Settings) -> bool:
    return settings.sink_nodes is not SinkNodes.DISCOVERED and len(settings.sink_urls) < len(formation.urls)


def _named(formation: Formation, settings: Settings) -> bool:
    """Whether any URL of the settings is that of a node, by the address that the node names."""
    return not {*map(_place, settings.sink_urls)}.isdisjoint(map(_place, formation.urls))


def _place(url: str) -> tuple[str, int]:
    parts = parse_url(url)
    host = parts.hostname or ""
    return ("127.0.0.1" if host == "localhost" else host), parts.port or 0


def _count(formation: Formation, settings: Settings) -> str:
    listed = brief(", ".join(formation.urls), 500)
    named = ", ".join(map(mask, settings.sink_urls))
    return f"The cluster has {len(formation.urls)} nodes ({listed}); ELASTIC_URL names {named}."


def _all(formation: Formation, settings: Settings) -> str:
    """All nodes by their URLs; those with a user and a password cannot be printed."""
    if any(map(credentials, settings.sink_urls)):
        return f"{DISCOVERED}  # or name all nodes in ELASTIC_URL, with user and password as now"
    return f"{export('ELASTIC_URL', ','.join(formation.urls))}  # or: {DISCOVERED}"
