"""The nodes of the cluster: the URLs that it names for itself."""

from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.published import FILTER, urls_of
from outboxctl.sink.transport.request import require_answer


def published(client: Client) -> list[str]:
    """The URLs (without credentials, sorted) of the nodes that take requests; empty where none is named.

    Scheme and path are those of ELASTIC_URL. Needs the privilege `monitor` on the cluster.
    Raises RefusedError or UnreachableError.
    """
    answer = require_answer(client, "GET", "_nodes", "http", filter_path=FILTER)
    return urls_of(answer, client.where.split(", ")[0])
