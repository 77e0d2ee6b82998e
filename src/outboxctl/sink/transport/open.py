"""Making a client of the settings."""

import sys
from collections.abc import Callable, Collection
from random import sample

from outboxctl.net.urls import without_credentials
from outboxctl.settings import Settings
from outboxctl.settings.kinds import SinkNodes
from outboxctl.sink.engines import ENGINES
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.credentials import security
from outboxctl.sink.transport.discovery import Discovery
from outboxctl.sink.transport.node import Node
from outboxctl.sink.transport.nodes import Exchange

LONGEST = 30.0  # seconds that a request may take where no deadline is given


def connect(
    settings: Settings,
    *,
    connections: int = 4,
    timeout: float | None = None,
    only: Collection[str] = (),
    say: Callable[[str], object] = lambda _: None,
) -> Client:
    """Make a client for the configured sink, or for the URLs of it in `only`; nothing is sent yet.

    `timeout` is in seconds; by default three quarters of the lease, at most 30. `say` gets a sentence where
    the nodes that the cluster names cannot be used. Raises UsageError for unusable certificates and
    contradicting credentials.
    """
    secrets = security(settings)
    # In random order, so that not all workers begin with the same URL.
    urls = [without_credentials(url) for url in only or sample(settings.sink_urls, len(settings.sink_urls))]

    def node(url: str) -> Node:
        return Node(url, secrets, connections)

    nodes = [node(url) for url in urls]
    discovered = settings.sink_nodes is SinkNodes.DISCOVERED and not only
    return Client(
        nodes,
        ENGINES.get(settings.sink),
        secrets.authorization,
        timeout or min(LONGEST, settings.delivery_seconds),
        exchange=_exchange(),
        discovery=Discovery(nodes, node, urls[0], say) if discovered else None,
    )


def _exchange() -> Exchange:
    """With a span and its trace in a header, where the process has an SDK of OpenTelemetry."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return Node.exchange
    from outboxctl.sink.transport.request_span import exchange  # noqa: PLC0415 - slow to load

    return exchange
