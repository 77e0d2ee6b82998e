"""Rules for the cluster at ELASTIC_URL: what it is, its nodes, and what this user may do there."""

from collections.abc import Iterator

from outboxctl.domain.printable import brief
from outboxctl.net.urls import mask, parse_url
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import export, request
from outboxctl.settings import Settings
from outboxctl.settings.connections import SinkNodes
from outboxctl.sink.engines import ELASTICSEARCH, Engine, Identity
from outboxctl.sink.inspect.cluster import Formation, SinkRights
from outboxctl.sink.inspect.product import Reached
from outboxctl.sink.roles import names_of

URLS = RuleGroup("each URL")
PRODUCT = RuleGroup("product and versions", vital=True)
FORMATION = RuleGroup("nodes and leader", vital=True, spared=True)
SINK_RIGHTS = RuleGroup("rights in the search engine")
START = "start the nodes that are away: more than half of those that may lead must be up"
LOOK = "look at that machine: is it paused, swapping, or collecting garbage? Then restart the node"
DISCOVERED = "export OUTBOX_SINK_NODES=discovered"


@URLS.rule("sink-url-away", WARNING)
def away(reached: Reached, settings: Settings) -> Iterator[Case]:
    """Workers try it again and again, and copies of shards on that node are missing."""
    others = [url for url in settings.sink_urls if mask(url) not in reached.away]
    for url, why in reached.away.items():
        mend = export("ELASTIC_URL", ",".join(map(mask, others)))
        yield f"{url} does not answer: {why}", mend


@PRODUCT.rule("not-elasticsearch", ERROR)
def product(facts: Identity, _: Settings) -> Iterator[Case]:
    """Elasticsearch names itself in each answer (X-Elastic-Product); no other answer is taken for its own."""
    if facts.engine is None:
        what = f"{facts.distribution} {facts.number} answers" if facts.number else "Something answers"
        mend = "export ELASTIC_URL=…  # an Elasticsearch 8 or 9; a proxy must pass X-Elastic-Product on"
        yield f"{what} without the header of Elasticsearch.", mend


@PRODUCT.rule("other-client", ERROR)
def other_client(facts: Identity, settings: Settings) -> Iterator[Case]:
    """Requests and checks are those of the product that OUTBOX_SINK names."""
    there = (facts.engine or ELASTICSEARCH).name
    if settings.sink not in {"auto", there}:
        what = f"{there} {facts.number} answers, and OUTBOX_SINK is {settings.sink}."
        yield what, export("OUTBOX_SINK", "auto")


@PRODUCT.rule("server-too-old", ERROR)
def server_too_old(facts: Identity, _: Settings) -> Iterator[Case]:
    """Requests are those of Elasticsearch 8 and OpenSearch 2; older servers refuse some of them."""
    engine = facts.engine
    if engine and 0 < facts.major < engine.oldest:
        yield _version(engine, facts), engine.upgrade


@PRODUCT.rule("server-too-new", WARNING)
def server_too_new(facts: Identity, _: Settings) -> Iterator[Case]:
    """Requests are tried on Elasticsearch 8 and 9, OpenSearch 2 and 3; newer ones may refuse some."""
    engine = facts.engine
    if engine and facts.major > engine.newest:
        yield _version(engine, facts), "pip install --upgrade outboxctl"


def _version(engine: Engine, facts: Identity) -> str:
    return f"The server is {engine.title} {facts.number}."


@SINK_RIGHTS.rule("sink-rights-worker", ERROR)
def worker(rights: SinkRights, _: Settings) -> Iterator[Case]:
    """The search engine refuses its deliveries (403), or the list of its documents after a TRUNCATE."""
    yield from _grant(rights, rights.worker)


@SINK_RIGHTS.rule("sink-rights-read", WARNING)
def reader(rights: SinkRights, _: Settings) -> Iterator[Case]:
    """`failed show`, `verify` and this examination cannot read the index."""
    yield from _grant(rights, rights.reader)


@SINK_RIGHTS.rule("sink-rights-manage", INFO)
def manager(rights: SinkRights, _: Settings) -> Iterator[Case]:
    """`rebuild` cannot create an index and move the alias."""
    yield from _grant(rights, rights.operator)


def _grant(rights: SinkRights, lacking: list[str]) -> Iterator[Case]:
    if lacking:
        body = {"indices": [{"names": names_of(rights.index), "privileges": lacking}]}
        mend = request("PUT", "_security/role/outboxctl", body) + "  # and give the user or key that role"
        yield f"The search engine's user or key lacks {', '.join(lacking)} on {rights.index}.", mend


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
    """Whether any URL of the settings is a node's own address; behind a load balancer none is."""
    return not {*map(_place, settings.sink_urls)}.isdisjoint(map(_place, formation.urls))


def _place(url: str) -> tuple[str, int]:
    parts = parse_url(url)
    host = parts.hostname or ""
    return ("127.0.0.1" if host == "localhost" else host), parts.port or 0
