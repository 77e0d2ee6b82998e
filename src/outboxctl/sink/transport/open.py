"""Making a client of the settings."""

from collections.abc import Callable, Collection

from outboxctl.net.urls import parse_url
from outboxctl.settings import Settings
from outboxctl.settings.kinds import SinkNodes
from outboxctl.sink.engines import ENGINES
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.credentials import Security, security
from outboxctl.sink.transport.discovery import Discovery
from outboxctl.sink.transport.node import SinkNodeConfig

HEADERS = {"accept": "application/json", "user-agent": "outboxctl"}
LONGEST = 30.0  # seconds that a request may take where no deadline is given
SPARE = 2  # connections to a node beside those that are asked for: of its probe and a look at the cluster


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
    secrets, urls = security(settings), list(only or settings.sink_urls)
    nodes = list(dict.fromkeys(node_config(url, secrets, connections) for url in urls))
    discovered = settings.sink_nodes is SinkNodes.DISCOVERED and not only
    return Client(
        nodes,
        ENGINES.get(settings.sink),
        timeout or min(LONGEST, settings.delivery_seconds),
        discovery=Discovery(nodes, urls[0], say) if discovered else None,
    )


def node_config(url: str, secrets: Security, connections: int) -> SinkNodeConfig:
    """Where a URL leads, how to prove who we are there, and what to trust."""
    parts = parse_url(url)
    secure = parts.scheme == "https"
    return SinkNodeConfig(
        parts.scheme,
        parts.hostname or "",
        parts.port or 0,
        parts.path.rstrip("/"),
        headers=HEADERS | ({"authorization": secrets.authorization} if secrets.authorization else {}),
        connections_per_node=connections + SPARE,
        ssl_context=secrets.context if secure else None,
        pin=secrets.pin if secure else None,
    )
