"""Opening a client whose own retries are off: a resend is the worker's decision, never the client's."""

from collections.abc import Sequence
from typing import Any

from outboxctl.net.urls import without_credentials
from outboxctl.settings import Settings, SinkProduct
from outboxctl.sink.engines.detected import EitherClient
from outboxctl.sink.engines.elasticsearch import elastic
from outboxctl.sink.transport.client import Client, Way, as_it_is, need_opensearch
from outboxctl.sink.transport.credentials import security, unusable

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
    options = {
        "connections": connections,
        "timeout": seconds,
        "way": _request_hook(settings),
        **security(settings),
    }
    try:
        return _client(settings.sink, urls, options)
    except (OSError, ValueError) as error:
        raise unusable(error) from None


def _client(product: SinkProduct, urls: Sequence[str], options: dict[str, Any]) -> Client:
    if product is SinkProduct.OPENSEARCH:
        need_opensearch()
        return _opensearch(urls, options)
    client = elastic(urls, **options)
    if product is SinkProduct.ELASTICSEARCH:
        return client
    return EitherClient(client, lambda: _opensearch(urls, options))


def _request_hook(settings: Settings) -> Way:
    if not settings.tracing:
        return as_it_is
    from outboxctl.sink.transport.trace_header import traced  # noqa: PLC0415 - an extra, and half a second to load

    return traced


def _opensearch(urls: Sequence[str], options: dict[str, Any]) -> Client:
    """ImportError where the extra is not installed."""
    from outboxctl.sink.engines.opensearch import opensearch  # noqa: PLC0415 - it is an extra

    return opensearch(urls, **options)
