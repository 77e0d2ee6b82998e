"""A client of the settings: who we are, which servers are trusted, where they are."""

from base64 import b64encode
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from outboxctl.domain.errors import UsageError
from outboxctl.domain.redaction import add_login
from outboxctl.net.certificates import SINK, Files
from outboxctl.net.urls import credentials, parse_url
from outboxctl.settings import Settings
from outboxctl.settings.connections import AwsService, SinkNodes
from outboxctl.sink.engines import ENGINES, SERVERLESS
from outboxctl.sink.transport.aws import Signer
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.discovery import Discovery
from outboxctl.sink.transport.node import HEADERS, SPARE, Sign, SinkNodeConfig

LONGEST = 30.0  # seconds that a request may take where no deadline is given


def nodes_of(settings: Settings, connections: int = 1, only: Collection[str] = ()) -> list[SinkNodeConfig]:
    """Where each URL leads, how to prove who we are there, and what to trust; each server once.

    UsageError for what cannot be read or sent, or does not fit together.
    """
    schemes = {urlsplit(url).scheme for url in settings.sink_urls}
    if len(schemes) > 1 and files(settings):
        raise _unusable("certificates are set, and not all URLs are https")
    context = files(settings).context() if "https" in schemes else None
    login, sign = _authorization(settings), _signer(settings)
    made = [
        SinkNodeConfig(
            url.scheme,
            url.hostname or "",
            url.port or 0,
            url.path.rstrip("/"),
            headers=HEADERS | ({"authorization": login} if login else {}),
            connections_per_node=connections + SPARE,
            ssl_context=context if url.scheme == "https" else None,
            sign=sign,
        )
        for url in map(parse_url, only or settings.sink_urls)
    ]
    return list(dict.fromkeys(made))


def files(settings: Settings) -> Files:
    """The PEM files that the settings name."""
    return Files(SINK, settings.elastic_ca_certs, settings.elastic_client_cert, settings.elastic_client_key)


def _signer(settings: Settings) -> Sign | None:
    if not settings.aws_service:
        return None
    if _authorization(settings):
        hint = "a request carries one: unset ELASTIC_API_KEY, or user and password, or OUTBOX_AWS_SERVICE"
        raise UsageError("OUTBOX_AWS_SERVICE is set, and a user or an API key too", hint=hint)
    if settings.sink_nodes is SinkNodes.DISCOVERED:
        hint = "unset OUTBOX_SINK_NODES: AWS has one address for all nodes"
        raise UsageError("OUTBOX_AWS_SERVICE and OUTBOX_SINK_NODES=discovered are set", hint=hint)
    return Signer(settings.aws_service, settings.aws_region)


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
) -> Client:
    """Make a client for the configured sink, or for the URLs of it in `only`; nothing is sent yet.

    `timeout` is in seconds; by default three quarters of the lease, at most 30. `say` gets a sentence where
    the nodes that the cluster names cannot be used. Raises UsageError for unusable certificates and
    contradicting credentials.
    """
    nodes = nodes_of(settings, connections, only)
    discovered = settings.sink_nodes is SinkNodes.DISCOVERED and not only
    return Client(
        nodes,
        SERVERLESS if settings.aws_service is AwsService.SERVERLESS else ENGINES.get(settings.sink),
        timeout or min(LONGEST, settings.delivery_seconds),
        discovery=Discovery(nodes, say) if discovered else None,
    )
