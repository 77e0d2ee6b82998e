"""The search engines, a row each: how a product names itself, which versions are supported, what differs.

All of them take `application/json` and `application/x-ndjson`, and the same requests but for these.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

PRODUCT_HEADER = "x-elastic-product"


class PointInTime(NamedTuple):
    """How an engine opens a view of an index that does not change, and pages through it.

    `id` names the view in the answer; each document has one value of `sort`. `by_shard`: only in its shard.
    """

    path: tuple[str, ...]
    id: str
    sort: str
    by_shard: bool


class Vectors(NamedTuple):
    """How vectors are mapped: type and parameter of dimensions of a field, settings that the index needs."""

    type: str
    dims: str
    settings: Mapping[str, Any] = {}

    def field(self, dims: int) -> dict[str, Any]:
        """The field of vectors of `dims` numbers."""
        return {"type": self.type, self.dims: dims}


DENSE = Vectors("dense_vector", "dims")
# Otherwise these do not show vectors in documents, which `verify` and `preview` compare.
WHOLE = DENSE._replace(settings={"index.mapping.exclude_source_vectors": False})
LEFT_OUT_FROM = (9, 2)  # Elasticsearch; older versions refuse that setting
KNN = Vectors("knn_vector", "dimension", {"index.knn": True})


class Engine(NamedTuple):
    """One product, in the major versions from `oldest` to `newest`."""

    name: str  # that of OUTBOX_SINK and of `version.distribution` in `GET /`
    title: str
    header: str | None  # the value of X-Elastic-Product in each 2xx answer, None where it is not sent
    oldest: int
    newest: int
    upgrade: str
    point_in_time: PointInTime
    roles: str  # the path of its API for roles
    administrator: str  # who may ask that API in a new cluster
    api_keys: bool
    leader_timeout: str  # the parameter that limits how long a request waits for the cluster's leader
    vectors: Vectors = DENSE
    lists: bool = True  # it shows all that an index holds by now, by `_refresh` and views, and has nodes


ELASTICSEARCH = Engine(
    "elasticsearch",
    "Elasticsearch",
    header="Elasticsearch",
    oldest=8,
    newest=9,
    upgrade="upgrade Elasticsearch to 8.19  # its Upgrade Assistant leads through it",
    point_in_time=PointInTime(("_pit",), "id", "_shard_doc", by_shard=False),
    roles="_security/role",
    administrator="elastic",
    api_keys=True,
    leader_timeout="master_timeout",
)
# The place in a shard (`_doc`) is unique in that shard alone, so OpenSearch gets a view for each shard:
# its version 2 does not know `_shard_doc`, which is unique in all (tried on 2.19.6 and 3.9.0).
OPENSEARCH = Engine(
    "opensearch",
    "OpenSearch",
    header=None,
    oldest=2,
    newest=3,
    upgrade="upgrade OpenSearch to 2.19",
    point_in_time=PointInTime(("_search", "point_in_time"), "pit_id", "_doc", by_shard=True),
    roles="_plugins/_security/api/roles",
    administrator="admin",
    api_keys=False,
    leader_timeout="cluster_manager_timeout",
    vectors=KNN,
)
# Of its requests Serverless has those for indexes, aliases and documents alone (docs/deploy/aws.md).
SERVERLESS = OPENSEARCH._replace(title="OpenSearch Serverless", lists=False)
ENGINES = {engine.name: engine for engine in (ELASTICSEARCH, OPENSEARCH)}


class Identity(NamedTuple):
    """What `GET /` says of the server: its distribution and version (empty where it names none), its node.

    `engine`: the product that it names itself as, None where it is neither.
    """

    distribution: str
    number: str
    node: str
    engine: Engine | None

    @property
    def major(self) -> int:
        """The first number of the version, 0 where there is none."""
        return self.release[0]

    @property
    def release(self) -> tuple[int, int]:
        """The first two numbers of the version, 0 where there is none."""
        parts = [int(each) if each.isdecimal() and each.isascii() else 0 for each in self.number.split(".")]
        major, minor = [*parts, 0, 0][:2]
        return major, minor

    @property
    def vectors(self) -> Vectors:
        """How this product and version maps vectors."""
        if self.engine is ELASTICSEARCH and self.release >= LEFT_OUT_FROM:
            return WHOLE
        return self.engine.vectors if self.engine else DENSE


def identity(body: Any, headers: Mapping[str, str]) -> Identity:
    """Read the answer to `GET /`, whatever it is: Elasticsearch names itself in a header, OpenSearch here."""
    root: dict[str, Any] = body if isinstance(body, dict) else {}
    version = root["version"] if isinstance(root.get("version"), dict) else {}
    distribution = str(version.get("distribution") or ELASTICSEARCH.name)
    named = ELASTICSEARCH if headers.get(PRODUCT_HEADER) == ELASTICSEARCH.header else None
    engine = OPENSEARCH if distribution == OPENSEARCH.name else named
    return Identity(distribution, str(version.get("number") or ""), str(root.get("name") or ""), engine)
