"""Rules for the cluster at ELASTIC_URL: what it is, its disks, and what this user may do there."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from outboxctl.net.urls import mask
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, FindingSeverity, RuleGroup, rule
from outboxctl.operations.doctor.remedies import export, request, size
from outboxctl.settings import Settings
from outboxctl.sink.inspect.cluster import Cluster
from outboxctl.sink.inspect.product import ProductFacts
from outboxctl.sink.inspect.reach import Reached
from outboxctl.sink.inspect.rights import SinkRights
from outboxctl.sink.roles import names_of
from outboxctl.sink.transport.client import INSTALL

OLDEST_MAJOR, OLDEST_OPENSEARCH = 8, 2
MEDIA_TYPE = ("media_type_header_exception", "content_type_header_exception")
CLOCK_LIMIT = 5.0  # seconds; a Date header has whole ones
# The oldest client of each major version that this project works with (see pyproject.toml).
CLIENTS = {8: "elasticsearch>=8.19,<9", 9: "elasticsearch>=9,<10"}

URLS = RuleGroup("each URL")
CLUSTER = RuleGroup("cluster")
SINK_RIGHTS = RuleGroup("rights in the sink")


@URLS.rule("sink-url-away", WARNING)
def away(reached: Reached, settings: Settings) -> Iterator[Case]:
    """Workers take the URLs in turns, so a share of their requests fails."""
    others = [url for url in settings.sink_urls if mask(url) not in reached.away]
    for url, why in reached.away.items():
        mend = export("ELASTIC_URL", ",".join(map(mask, others)))
        yield f"{url} does not answer: {why}", mend


@rule(
    "not-elasticsearch",
    FindingSeverity.ERROR,
    "The client checks who answers (X-Elastic-Product) and takes no answer from another product.",
)
def product(found: ProductFacts, _: Settings) -> Iterator[Case]:
    """A proxy that drops headers, or something else altogether; OpenSearch has a rule of its own."""
    if not (found.elasticsearch or found.opensearch):
        what = f"{found.name} {found.number} answers" if found.number else "Something answers"
        mend = "export ELASTIC_URL=…  # an Elasticsearch 8 or 9; a proxy must pass X-Elastic-Product on"
        yield f"{what} without the header of Elasticsearch.", mend


@rule("other-client", FindingSeverity.ERROR, "Each product's client speaks to that product alone.")
def other_client(found: ProductFacts, settings: Settings) -> Iterator[Case]:
    """OUTBOX_SINK names the other product, or OpenSearch answers and its client is not installed."""
    there = "opensearch" if found.opensearch else "elasticsearch" if found.elasticsearch else found.speaks
    if found.speaks != there:
        mend = export("OUTBOX_SINK", "auto") if settings.sink != "auto" else INSTALL
        yield f"{there} {found.number} answers, and the client is that of {found.speaks}.", mend


@rule(
    "client-too-new",
    FindingSeverity.ERROR,
    "The server refuses every request of this client (400), events stay pending.",
)
def client_too_new(found: ProductFacts, _: Settings) -> Iterator[Case]:
    """A client 9 asks for compatible-with=9, which a server 8 does not know (tried: 9.5.1 with 8.14.3)."""
    refused = found.refused.startswith(MEDIA_TYPE) or found.client[0] > found.major
    if _its_own(found) and refused and found.major in CLIENTS:
        what = f"The elasticsearch client {_version(found)} cannot speak to a server {found.number}."
        yield what, f"pip install '{CLIENTS[found.major]}'"


@rule(
    "client-too-old",
    FindingSeverity.ERROR,
    "A server speaks its own major version and the one before, no older one.",
)
def client_too_old(found: ProductFacts, _: Settings) -> Iterator[Case]:
    """A client 8 works with a server 9 (tried), not with one after it."""
    if _its_own(found) and found.major > found.client[0] + 1:
        what = f"The elasticsearch client {_version(found)} is too old for a server {found.number}."
        yield what, "pip install --upgrade outboxctl elasticsearch"


@rule(
    "server-too-old",
    FindingSeverity.ERROR,
    "Requests are those of Elasticsearch 8 and OpenSearch 2; older servers refuse some of them.",
)
def server_too_old(found: ProductFacts, _: Settings) -> Iterator[Case]:
    """Before Elasticsearch 8, or before OpenSearch 2."""
    if found.elasticsearch and 0 < found.major < OLDEST_MAJOR:
        what = f"The server is Elasticsearch {found.number}."
        yield what, "upgrade Elasticsearch to 8.19  # its Upgrade Assistant leads through it"
    if found.opensearch and 0 < found.major < OLDEST_OPENSEARCH:
        yield f"The server is OpenSearch {found.number}.", "upgrade OpenSearch to 2.19"


@rule(
    "clock-sink",
    FindingSeverity.WARNING,
    "Logs of both ends cannot be compared, and certificates may seem expired.",
)
def clock(found: ProductFacts, _: Settings) -> Iterator[Case]:
    """A Date header (Elasticsearch sends none itself, a proxy before it does) that is not now."""
    ahead = found.clock_ahead
    if ahead is not None and abs(ahead) > CLOCK_LIMIT:
        way = "ahead of" if ahead > 0 else "behind"
        yield f"The sink's clock is {abs(ahead):,.0f} s {way} this machine's.", "sudo chronyc makestep"


def _version(found: ProductFacts) -> str:
    return ".".join(map(str, found.client))


@CLUSTER.rule("auto-create-index", INFO)
def auto_create(cluster: Cluster, settings: Settings) -> Iterator[Case]:
    """Whoever writes to a missing name creates an index with a guessed mapping; the worker looks first.

    The mend holds for the whole cluster: where others rely on it, `-NAME*,+*` in place of false
    spares them.
    """
    if _creates(cluster.auto_create, settings.elastic_index):
        body = {"persistent": {"action.auto_create_index": "false"}}
        yield f"action.auto_create_index is {cluster.auto_create}.", request("PUT", "_cluster/settings", body)


def _creates(patterns: str, name: str) -> bool:
    """As the engine reads it: the first pattern that fits decides, and what none fits is not created."""
    if patterns in {"true", "false"}:
        return patterns == "true"
    for pattern in patterns.split(","):
        if fnmatchcase(name, pattern.strip().lstrip("+-")):
            return not pattern.strip().startswith("-")
    return False


@CLUSTER.rule("disk-low", WARNING)
def disk_low(cluster: Cluster, _: Settings) -> Iterator[Case]:
    """No new shard comes here: a rebuild's index may stay without its replicas."""
    for disk in cluster.disks:
        if disk.high <= disk.free < disk.low:
            yield from _disk(disk.node, disk.free, disk.low)


@CLUSTER.rule("disk-full", ERROR)
def disk_full(cluster: Cluster, _: Settings) -> Iterator[Case]:
    """Shards leave this node, and a little later every index on it turns read-only."""
    for disk in cluster.disks:
        if disk.free < disk.high:
            yield from _disk(disk.node, disk.free, disk.high)


def _disk(node: str, free: int, mark: int) -> Iterator[Case]:
    what = f"Node {node} has {size(free)} of disk left, below its watermark of {size(mark)}."
    yield what, request("GET", "_cat/allocation?v") + "  # then free space, or add a node"


@SINK_RIGHTS.rule("sink-rights-worker", ERROR)
def worker(rights: SinkRights, settings: Settings) -> Iterator[Case]:
    """The sink refuses every delivery (403), events stay pending."""
    yield from _grant(settings, rights.worker)


@SINK_RIGHTS.rule("sink-rights-read", WARNING)
def reader(rights: SinkRights, settings: Settings) -> Iterator[Case]:
    """`failed show`, `verify` and this examination cannot read the index."""
    yield from _grant(settings, rights.reader)


@SINK_RIGHTS.rule("sink-rights-manage", INFO)
def manager(rights: SinkRights, settings: Settings) -> Iterator[Case]:
    """`rebuild` cannot create an index and move the alias."""
    yield from _grant(settings, rights.operator)


def _grant(settings: Settings, lacking: list[str]) -> Iterator[Case]:
    if lacking:
        body = {"indices": [{"names": names_of(settings.elastic_index), "privileges": lacking}]}
        mend = request("PUT", "_security/role/outboxctl", body) + "  # and give the user or key that role"
        yield f"The sink's user or key lacks {', '.join(lacking)} on {settings.elastic_index}.", mend


def _its_own(found: ProductFacts) -> bool:
    """Whether it is Elasticsearch, asked by its own client: OpenSearch's has versions of another kind."""
    return found.elasticsearch and found.speaks == "elasticsearch"


VERSIONS = (client_too_new, client_too_old, server_too_old)
PRODUCT = RuleGroup("product and versions", [product, other_client, *VERSIONS, clock], vital=True)
