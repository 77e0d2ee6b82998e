"""Making a client of the settings."""

from random import sample

from outboxctl.net.urls import without_credentials
from outboxctl.settings import Settings
from outboxctl.sink.engines import ENGINES
from outboxctl.sink.transport.client import Client, Exchange
from outboxctl.sink.transport.credentials import security
from outboxctl.sink.transport.node import Node

LONGEST = 30.0  # seconds that a request may take where no deadline is given


def connect(
    settings: Settings, *, connections: int = 4, timeout: float | None = None, only: str | None = None
) -> Client:
    """Make a client for the configured sink, or with `only` for that one of its URLs; nothing is sent yet.

    `timeout` is in seconds; by default three quarters of the lease, at most 30. Raises UsageError for
    unusable certificates and contradicting credentials.
    """
    secrets = security(settings)
    # In random order, so that not all workers begin with the same URL.
    urls = [only] if only else sample(settings.sink_urls, len(settings.sink_urls))
    nodes = [Node(without_credentials(url), secrets, connections) for url in urls]
    seconds = timeout or min(LONGEST, settings.delivery_seconds)
    return Client(nodes, ENGINES.get(settings.sink), secrets.authorization, seconds, _exchange(settings))


def _exchange(settings: Settings) -> Exchange:
    if not settings.tracing:
        return Node.exchange
    from outboxctl.sink.transport.request_span import exchange  # noqa: PLC0415 - an extra, slow to load

    return exchange
