"""How an engine maps vectors: by a type of its own, and with settings of the index."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from outboxctl.domain.errors import RefusedError
from outboxctl.sink.engines import ELASTICSEARCH, OPENSEARCH, Identity
from outboxctl.sink.inspect.product import product
from outboxctl.sink.transport.client import Client


class Vectors(NamedTuple):
    """The type of such a field, its parameter of dimensions, and the settings that its index is made with."""

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


def vectors(client: Client) -> Vectors:
    """Those of the server that answers, or of its product for a role that may not ask for the version."""
    try:
        return of(product(client))
    except RefusedError:
        return KNN if client.engine is OPENSEARCH else DENSE


def of(server: Identity) -> Vectors:
    """Those of a product and version."""
    if server.engine is OPENSEARCH:
        return KNN
    whole = server.engine is ELASTICSEARCH and server.release >= LEFT_OUT_FROM
    return WHOLE if whole else DENSE
