"""Making a client of the settings: who we are, which servers are trusted, and where they are.

Loads no client, which takes a moment, before one is made.
"""

from base64 import b64encode
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from outboxctl.domain.errors import UsageError
from outboxctl.domain.redaction import add_login
from outboxctl.net.certificates import SINK, Files
from outboxctl.net.urls import credentials, parse_url
from outboxctl.settings import Settings
from outboxctl.settings.kinds import SinkNodes
from outboxctl.sink.engines import ENGINES

if TYPE_CHECKING:
    from ssl import SSLContext

    from outboxctl.sink.transport.client import Client
    from outboxctl.sink.transport.connection import Pin
    from outboxctl.sink.transport.node import SinkNodeConfig

HEADERS = {"accept": "application/json", "user-agent": "outboxctl"}
LONGEST = 30.0  # seconds that a request may take where no deadline is given
SPARE = 2  # connections to a node beside those that are asked for: of its probe and a look at the cluster


class Security(NamedTuple):
    """The Authorization header; for TLS, a context, or what is pinned in place of it."""

    authorization: str | None
    context: "SSLContext | None" = None
    pin: "Pin | None" = None


def security(settings: Settings) -> Security:
    """Read it from the settings. UsageError for what cannot be read or sent, or does not fit together."""
    urls = [urlsplit(url) for url in settings.sink_urls]
    secure = {url.scheme == "https" for url in urls}
    if len(secure) > 1 and (files(settings) or settings.elastic_fingerprint):
        raise _unusable("certificates are set, and not all URLs are https")
    trusted = _trusted(settings) if True in secure else (None, None)
    return Security(_authorization(settings), *trusted)


def files(settings: Settings) -> Files:
    """The PEM files that the settings name."""
    return Files(SINK, settings.elastic_ca_certs, settings.elastic_client_cert, settings.elastic_client_key)


def passing_on(settings: Settings) -> Files:
    """The same for the fault proxy. UsageError where they name a fingerprint, which it cannot go by."""
    if settings.elastic_fingerprint:
        hint = "set ELASTIC_CA_CERTS in its place"
        raise UsageError("the fault proxy cannot go by ELASTIC_FINGERPRINT", hint=hint)
    return files(settings)


def _trusted(settings: Settings) -> tuple["SSLContext | None", "Pin | None"]:
    """Trust the named CAs alone, else the system's; with a fingerprint, only what has that."""
    if not settings.elastic_fingerprint:
        return files(settings).context(), None
    if settings.elastic_ca_certs:
        hint = "a fingerprint does without a CA: unset one of them"
        raise UsageError("both ELASTIC_CA_CERTS and ELASTIC_FINGERPRINT are set", hint=hint)
    from outboxctl.sink.transport.connection import Pin  # noqa: PLC0415 - ssl takes a moment, and http does without

    return None, Pin(settings.elastic_fingerprint, files(settings))


def _authorization(settings: Settings) -> str | None:
    if settings.elastic_api_key:
        return f"ApiKey {settings.elastic_api_key.get_secret_value()}"
    if settings.elastic_username:
        password = settings.elastic_password
        return _basic(settings.elastic_username, password.get_secret_value() if password else "")
    login = next(filter(None, map(credentials, settings.sink_urls)), None)
    return _basic(*login) if login else None


def _basic(user: str, password: str) -> str:
    add_login(user, password)
    try:
        login = f"{user}:{password}".encode()
    except UnicodeEncodeError:
        raise _unusable("user or password is no text") from None
    return f"Basic {b64encode(login).decode()}"


def _unusable(why: str) -> UsageError:
    return UsageError(
        f"no client of the search engine can be made: {why}",
        hint="check ELASTIC_URL (all http or all https), and ELASTIC_API_KEY or ELASTIC_USERNAME",
    )


def connect(
    settings: Settings,
    *,
    connections: int = 4,
    timeout: float | None = None,
    only: Collection[str] = (),
    say: Callable[[str], object] = lambda _: None,
) -> "Client":
    """Make a client for the configured sink, or for the URLs of it in `only`; nothing is sent yet.

    `timeout` is in seconds; by default three quarters of the lease, at most 30. `say` gets a sentence where
    the nodes that the cluster names cannot be used. Raises UsageError for unusable certificates and
    contradicting credentials.
    """
    from outboxctl.sink.transport.client import Client  # noqa: PLC0415 - slow to load
    from outboxctl.sink.transport.discovery import Discovery  # noqa: PLC0415

    secrets, urls = security(settings), list(only or settings.sink_urls)
    nodes = list(dict.fromkeys(node_config(url, secrets, connections) for url in urls))
    discovered = settings.sink_nodes is SinkNodes.DISCOVERED and not only
    return Client(
        nodes,
        ENGINES.get(settings.sink),
        timeout or min(LONGEST, settings.delivery_seconds),
        discovery=Discovery(nodes, urls[0], say) if discovered else None,
    )


def node_config(url: str, secrets: Security, connections: int) -> "SinkNodeConfig":
    """Where a URL leads, how to prove who we are there, and what to trust."""
    from outboxctl.sink.transport.node import SinkNodeConfig  # noqa: PLC0415 - slow to load

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
