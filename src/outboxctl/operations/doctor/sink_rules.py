"""Rules for the cluster at ELASTIC_URL: what it is, its disks, and what this user may do there."""

from collections.abc import Iterator

from outboxctl.net.urls import mask
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import export, request, size
from outboxctl.settings import Settings
from outboxctl.sink.engines import ELASTICSEARCH, Engine
from outboxctl.sink.inspect.cluster import Cluster, SinkRights
from outboxctl.sink.inspect.product import ProductFacts, Reached
from outboxctl.sink.roles import names_of

ENABLE = "cluster.routing.allocation.enable"

URLS = RuleGroup("each URL")
PRODUCT = RuleGroup("product and versions", vital=True)
CLUSTER = RuleGroup("cluster")
SINK_RIGHTS = RuleGroup("rights in the sink")


@URLS.rule("sink-url-away", WARNING)
def away(reached: Reached, settings: Settings) -> Iterator[Case]:
    """Workers try it again and again, and copies of shards on that node are missing."""
    others = [url for url in settings.sink_urls if mask(url) not in reached.away]
    for url, why in reached.away.items():
        mend = export("ELASTIC_URL", ",".join(map(mask, others)))
        yield f"{url} does not answer: {why}", mend


@PRODUCT.rule("not-elasticsearch", ERROR)
def product(facts: ProductFacts, _: Settings) -> Iterator[Case]:
    """Elasticsearch names itself in each answer (X-Elastic-Product); no other answer is taken for its own."""
    if facts.engine is None:
        server = facts.identity
        what = f"{server.distribution} {server.number} answers" if server.number else "Something answers"
        mend = "export ELASTIC_URL=…  # an Elasticsearch 8 or 9; a proxy must pass X-Elastic-Product on"
        yield f"{what} without the header of Elasticsearch.", mend


@PRODUCT.rule("other-client", ERROR)
def other_client(facts: ProductFacts, settings: Settings) -> Iterator[Case]:
    """Requests and checks are those of the product that OUTBOX_SINK names."""
    there = (facts.engine or ELASTICSEARCH).name
    if settings.sink not in {"auto", there}:
        what = f"{there} {facts.identity.number} answers, and OUTBOX_SINK is {settings.sink}."
        yield what, export("OUTBOX_SINK", "auto")


@PRODUCT.rule("server-too-old", ERROR)
def server_too_old(facts: ProductFacts, _: Settings) -> Iterator[Case]:
    """Requests are those of Elasticsearch 8 and OpenSearch 2; older servers refuse some of them."""
    engine = facts.engine
    if engine and 0 < facts.identity.major < engine.oldest:
        yield _version(engine, facts), engine.upgrade


@PRODUCT.rule("server-too-new", WARNING)
def server_too_new(facts: ProductFacts, _: Settings) -> Iterator[Case]:
    """Requests are tried on Elasticsearch 8 and 9, OpenSearch 2 and 3; newer ones may refuse some."""
    engine = facts.engine
    if engine and facts.identity.major > engine.newest:
        yield _version(engine, facts), "pip install --upgrade outboxctl"


def _version(engine: Engine, facts: ProductFacts) -> str:
    return f"The server is {engine.title} {facts.identity.number}."


@CLUSTER.rule("allocation-off", WARNING)
def allocation(cluster: Cluster, _: Settings) -> Iterator[Case]:
    """Shards that lose a node get no other one. Mostly it was left so after a maintenance."""
    if cluster.allocation != "all":
        body = {level: {ENABLE: None} for level in ("persistent", "transient")}
        yield f"{ENABLE} is {cluster.allocation}.", request("PUT", "_cluster/settings", body)


@CLUSTER.rule("disk-full", ERROR)
def disk_full(cluster: Cluster, _: Settings) -> Iterator[Case]:
    """Shards leave this node, and a little later every index on it turns read-only."""
    for disk in cluster.disks:
        if disk.free < disk.high:
            mark, free = size(disk.high), size(disk.free)
            what = f"Node {disk.node} has {free} of disk left, below its watermark of {mark}."
            yield what, request("GET", "_cat/allocation?v") + "  # then free space, or add a node"


@CLUSTER.rule("batch-too-large", WARNING)
def batch(cluster: Cluster, settings: Settings) -> Iterator[Case]:
    """A batch above that limit is refused (413) and sent again in halves."""
    most, limit = settings.max_batch_bytes, cluster.request_limit
    if limit and most > limit:
        what = f"A batch may hold {size(most)}, more than the {size(limit)} that the sink takes at once"
        yield f"{what} (http.max_content_length).", export("OUTBOX_MAX_BATCH_BYTES", max(1, limit // 2))


@SINK_RIGHTS.rule("sink-rights-worker", ERROR)
def worker(rights: SinkRights, _: Settings) -> Iterator[Case]:
    """The sink refuses its deliveries (403), or the list of its documents after a TRUNCATE."""
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
        yield f"The sink's user or key lacks {', '.join(lacking)} on {rights.index}.", mend
