"""What the sink asks of a client: one request over HTTP, sent once."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import Answer

INSTALL = "pip install 'outboxctl[opensearch]'"
WRONG_PRODUCT = Answer(200, "wrong_product", "no X-Elastic-Product header", request=True)


Way = Callable[[Any], Any]  # from a class that sends requests to one that does more


def as_it_is(sends: Any) -> Any:
    """The way that changes nothing."""
    return sends


class SinkReply(NamedTuple):
    """An answer of any status: its headers, and its body parsed where it is JSON, None where it is empty."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004


class Client(Protocol):
    """One product's client; safe to use from several threads."""

    @property
    def product(self) -> str:
        """`elasticsearch` or `opensearch`: which requests it is sent, where they differ."""
        ...

    @property
    def version(self) -> tuple[int, ...]:
        """The client library's."""
        ...

    @property
    def where(self) -> str:
        """The URLs, without credentials."""
        ...

    def send(self, method: str, path: str, params: Mapping[str, str], body: Any) -> SinkReply | Answer:
        """Send one request, once; an Answer says why there is no reply. Nothing is raised.

        Bytes are NDJSON and go as they are; any other body but None is written as JSON. A 2xx from
        somebody who is not this product is an Answer too, as far as the product can be told.
        """
        ...

    def root(self) -> SinkReply | Answer:
        """GET / as every product and version understands it, whoever answers."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def need_opensearch() -> None:
    """UsageError where its client is not installed; it is not loaded for that."""
    if find_spec("opensearchpy") is None:
        raise UsageError("OUTBOX_SINK=opensearch, but its client is not installed", hint=INSTALL)
