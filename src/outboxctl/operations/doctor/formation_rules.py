"""Rules for the cluster's nodes: a leader, nodes that are silent, and which of them ELASTIC_URL names."""

from collections.abc import Iterator

from outboxctl.domain.printable import brief
from outboxctl.net.urls import mask
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import request
from outboxctl.settings import Settings
from outboxctl.settings.kinds import SinkNodes
from outboxctl.sink.inspect.formation import Formation

FORMATION = RuleGroup("nodes and leader", vital=True, spared=True)
START = "start the nodes that are away: more than half of those that may lead must be up"
LOOK = "look at that machine: is it paused, swapping, or collecting garbage? Then restart the node"


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


@FORMATION.rule("nodes-unnamed", INFO)
def unnamed(formation: Formation, settings: Settings) -> Iterator[Case]:
    """Behind a load balancer that is right.

    Otherwise nothing is delivered once the nodes that ELASTIC_URL names are away.
    """
    discovered = settings.sink_nodes is SinkNodes.DISCOVERED
    if not discovered and len(settings.sink_urls) < len(formation.urls):
        listed = brief(", ".join(formation.urls), 500)
        named = ", ".join(map(mask, settings.sink_urls))
        what = f"The cluster has {len(formation.urls)} nodes ({listed}); ELASTIC_URL names {named}."
        yield what, "export OUTBOX_SINK_NODES=discovered  # or name all nodes in ELASTIC_URL"
