"""What answers at ELASTIC_URL, by `GET /`."""

from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, NamedTuple

from outboxctl.domain.failures import Answer
from outboxctl.sink.engines import ELASTICSEARCH, OPENSEARCH, PRODUCT_HEADER, Engine, Identity, identity
from outboxctl.sink.inspect.question import refused
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import body_of


class ProductFacts(NamedTuple):
    """What the server says of itself.

    `engine` is the row of the product that it names itself as, None where it is neither: Elasticsearch sends
    X-Elastic-Product, OpenSearch names itself in the body. `clock_ahead`: seconds by its Date header, None
    without.
    """

    identity: Identity
    engine: Engine | None
    clock_ahead: float | None


def product(client: Client) -> ProductFacts:
    """Send `GET /`. Raises RefusedError or UnreachableError."""
    body, headers = root(client)
    server = identity(body)
    named = ELASTICSEARCH if headers.get(PRODUCT_HEADER) == ELASTICSEARCH.header else None
    engine = OPENSEARCH if server.distribution == OPENSEARCH.name else named
    return ProductFacts(server, engine, _ahead(headers.get("date")))


def root(client: Client) -> tuple[Any, Mapping[str, str]]:
    """Body and headers of GET /. Raises RefusedError or UnreachableError."""
    reply = client.root()
    body = body_of(reply)
    if isinstance(body, Answer) or isinstance(reply, Answer):
        raise refused(body)
    return body, reply.headers


def _ahead(date: str | None) -> float | None:
    with suppress(TypeError, ValueError, OverflowError):
        return parsedate_to_datetime(str(date)).timestamp() - time()
    return None
