"""Rules for the cluster's nodes: a leader, nodes that are silent, and which of them ELASTIC_URL names."""

from collections.abc import Iterator

from outboxctl.domain.printable import brief
from outboxctl.net.urls import mask, parse_url
from outboxctl.operations.doctor.model import ERROR, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import request
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


@FORMATION.rule("node-silent", WARNING)
def silent(formation: Formation, _: Settings) -> Iterator[Case]:
    """Writes to shards with a copy on that node wait until the others give it up.

    While it is the leader (the elected master), new indexes and mappings wait, too.
    """
    for node in formation.silent if formation.leader else ():
        name = "leader, node" if node == formation.leader else "node"
        yield f"The {name} {node} does not answer the other nodes of the cluster.", LOOK


@FORMATION.rule("nodes-unnamed", WARNING)
def unnamed(formation: Formation, settings: Settings) -> Iterator[Case]:
    """With the nodes that ELASTIC_URL names nothing is delivered, although the cluster serves."""
    fewer = len(settings.sink_urls) < len(formation.urls)
    if fewer and settings.sink_nodes is not SinkNodes.DISCOVERED and _named(formation, settings):
        listed = brief(", ".join(formation.urls), 500)
        named = ", ".join(map(mask, settings.sink_urls))
        what = f"The cluster has {len(formation.urls)} nodes ({listed}); ELASTIC_URL names {named}."
        yield what, f"{DISCOVERED}  # or name all nodes in ELASTIC_URL"


def _named(formation: Formation, settings: Settings) -> bool:
    """Whether any URL of the settings is that of a node, by the address that the node names.

    Behind a load balancer none is, and one is enough.
    """
    return not {*map(_place, settings.sink_urls)}.isdisjoint(map(_place, formation.urls))


def _place(url: str) -> tuple[str, int]:
    parts = parse_url(url)
    host = parts.hostname or ""
    return ("127.0.0.1" if host == "localhost" else host), parts.port or 0
