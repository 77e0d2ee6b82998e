"""What answers at ELASTIC_URL, asked in a way that every version and product understands."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from outboxctl.domain.failures import Answer
from outboxctl.sink.inspect.question import refused
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask, body_of


@dataclass(frozen=True)
class ProductFacts:
    """What the server says of itself, and what it says to this client.

    `number` is its version, empty where it names none. `elasticsearch`: it sends X-Elastic-Product,
    which that one's client insists on. `speaks` is the product whose client it was asked by, `client` its
    version. `refused` is the type and text of the error that this client's usual request got, empty where
    it was answered. `clock_ahead`: seconds by its Date header, None without.
    """

    name: str
    number: str
    elasticsearch: bool
    speaks: str
    client: tuple[int, ...]
    refused: str
    clock_ahead: float | None

    @property
    def opensearch(self) -> bool:
        """Whether it is OpenSearch, by its own word."""
        return self.name == "opensearch"

    @property
    def major(self) -> int:
        """The first number of its version, 0 where it names none."""
        head = self.number.partition(".")[0]
        return int(head) if head.isdecimal() and head.isascii() else 0


def product(client: Client) -> ProductFacts:
    """Ask who is there. Raises RefusedError or UnreachableError."""
    body, headers = root(client)
    version = _mapping(_mapping(body).get("version"))
    usual = ask(client, "GET")
    return ProductFacts(
        str(version.get("distribution") or "elasticsearch"),
        str(version.get("number") or ""),
        headers.get("x-elastic-product") == "Elasticsearch",
        client.product,
        client.version,
        f"{usual.kind}: {usual.text}" if isinstance(usual, Answer) else "",
        _ahead(headers.get("date")),
    )


def named(client: Client) -> tuple[str, str, str]:
    """The name of the node that answers, its product and its version; empty where it tells none.

    Raises RefusedError or UnreachableError.
    """
    body, _ = root(client)
    version = _mapping(_mapping(body).get("version"))
    product = str(version.get("distribution") or "elasticsearch")
    return str(_mapping(body).get("name") or ""), product, str(version.get("number") or "")


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


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
