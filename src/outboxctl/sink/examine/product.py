"""What answers at ELASTIC_URL, asked in a way that every version and product understands."""

from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import elastic_transport
import elasticsearch
from elasticsearch import Elasticsearch

from outboxctl.failures import Answer
from outboxctl.sink.examine.told import told
from outboxctl.sink.request import ask

ROOT_SECONDS = 10.0


@dataclass(frozen=True)
class Product:
    """What the server says of itself, and what it says to this client.

    `number` is its version, empty where it names none. `elasticsearch`: it sends X-Elastic-Product,
    which the client insists on. `refused` is the type and text of the error that this client's usual
    request got, empty where it was answered. `clock_ahead`: seconds by its Date header, None without.
    """

    name: str
    number: str
    elasticsearch: bool
    client: tuple[int, ...]
    refused: str
    clock_ahead: float | None

    @property
    def major(self) -> int:
        """The first number of its version, 0 where it names none."""
        head = self.number.partition(".")[0]
        return int(head) if head.isdecimal() and head.isascii() else 0


def product(client: Elasticsearch) -> Product:
    """Ask who is there. Raises RefusedError or UnreachableError."""
    body, headers = told(lambda: bare(client), anybody=True)
    version = _mapping(_mapping(body).get("version"))
    usual = ask(client.info)
    return Product(
        str(version.get("distribution") or "elasticsearch"),
        str(version.get("number") or ""),
        headers.get("x-elastic-product") == "Elasticsearch",
        elasticsearch.__version__,
        f"{usual.kind}: {usual.text}" if isinstance(usual, Answer) else "",
        _ahead(headers.get("date")),
    )


def named(client: Elasticsearch) -> tuple[str, str]:
    """The name of the node that answers and its version; empty where it tells none.

    Raises RefusedError or UnreachableError.
    """
    body, _ = told(lambda: bare(client), anybody=True)
    return str(_mapping(body).get("name") or ""), str(
        _mapping(_mapping(body).get("version")).get("number") or ""
    )


@dataclass(frozen=True)
class _Root:
    """Shaped like the client's own responses, for `ask`."""

    body: tuple[Any, Any]


def bare(client: Elasticsearch) -> _Root:
    """GET / with plain JSON. The client asks for its own major version, which an older server refuses.

    Its transport adds nothing, so the credentials that the client would have added are named here, and
    that nothing is tried again.
    """
    headers = {**client._headers, "accept": "application/json"}
    answer = client.transport.perform_request(
        "GET", "/", headers=headers, max_retries=0, request_timeout=ROOT_SECONDS
    )
    if answer.meta.status >= 300:  # noqa: PLR2004 - the transport raises nothing for an error's answer
        _raise(answer)
    return _Root((answer.body, answer.meta.headers))


def _raise(answer: elastic_transport.TransportApiResponse) -> None:
    raise elasticsearch.ApiError(str(answer.meta.status), meta=answer.meta, body=answer.body)


def _ahead(date: str | None) -> float | None:
    with suppress(TypeError, ValueError, OverflowError):
        return parsedate_to_datetime(str(date)).timestamp() - time()
    return None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
