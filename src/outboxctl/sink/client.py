"""Opening a client whose own retries are off: a resend is the worker's decision, never the client's."""

from collections.abc import Sequence
from typing import Any

from outboxctl.settings import Product, Settings
from outboxctl.sink.clients.either import EitherClient
from outboxctl.sink.clients.elastic import elastic
from outboxctl.sink.clients.model import Client, Way, as_it_is, need_opensearch
from outboxctl.sink.security import security, unusable
from outboxctl.urls import without_credentials

LONGEST = 30.0  # seconds that a request may take where no deadline is given


def connect(
    settings: Settings, *, connections: int = 4, timeout: float | None = None, only: str | None = None
) -> Client:
    """Make a client for the configured sink, or with `only` for that one of its URLs; nothing is sent yet.

    `timeout` is in seconds; by default three quarters of the lease, at most 30. Raises UsageError for
    unusable certificates, contradicting credentials, or a client library that is not installed.
    """
    urls = [without_credentials(url) for url in ([only] if only else settings.sink_urls)]
    seconds = timeout or min(LONGEST, settings.delivery_seconds)
    options = {"connections": connections, "timeout": seconds, "way": _way(settings), **security(settings)}
    try:
        return _client(settings.sink, urls, options)
    except (OSError, ValueError) as error:
        raise unusable(error) from None


def _client(product: Product, urls: Sequence[str], options: dict[str, Any]) -> Client:
    if product is Product.OPENSEARCH:
        need_opensearch()
        return _opensearch(urls, options)
    client = elastic(urls, **options)
    if product is Product.ELASTICSEARCH:
        return client
    return EitherClient(client, lambda: _opensearch(urls, options))


def _way(settings: Settings) -> Way:
    if not settings.tracing:
        return as_it_is
    from outboxctl.sink.traced import traced  # noqa: PLC0415 - an extra, and half a second to load

    return traced


def _opensearch(urls: Sequence[str], options: dict[str, Any]) -> Client:
    """ImportError where the extra is not installed."""
    from outboxctl.sink.clients.opensearch import opensearch  # noqa: PLC0415 - it is an extra

    return opensearch(urls, **options)
