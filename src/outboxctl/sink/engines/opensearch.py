"""OpenSearch, by opensearch-py (the extra `opensearch`), used as the other client is: nothing sent twice."""

import json
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import opensearchpy
from opensearchpy import ConnectionTimeout, TransportError, Urllib3HttpConnection

from outboxctl.domain.failures import Answer
from outboxctl.net.urls import mask
from outboxctl.sink.transport.client import SinkReply, Way, as_it_is
from outboxctl.sink.transport.no_answer import Peer
from outboxctl.sink.transport.wall_clock import (
    SEEN,
    TOO_LONG,
    allowed,
    failed,
    overdue,
    own,
    unreadable,
    watched,
    watching,
)

LINES = {"content-type": "application/x-ndjson"}


class WatchedConnection(Urllib3HttpConnection):
    """The client's own HTTP connection, with a wall clock over each request and a memory for its answer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._peer = Peer(self.hostname, self.port, self.use_ssl, options.get("ssl_context"))

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        self.pool.ConnectionCls = watching(self.pool.ConnectionCls)

    def perform_request(self, *args: Any, **kwargs: Any) -> Any:
        """Send one request (see the base class); ConnectionTimeout once its whole time is over."""
        with watched(kwargs["timeout"], self._peer) as watch:
            try:
                status, headers, data = super().perform_request(*args, **kwargs)
            except TransportError as error:
                if overdue(watch, _cause(error)):
                    raise ConnectionTimeout("TIMEOUT", TOO_LONG, error) from error
                raise
            if overdue(watch, None):
                raise ConnectionTimeout("TIMEOUT", TOO_LONG, None)
        SEEN.status, SEEN.headers = status, headers
        return status, headers, data

    def get_response_headers(self, response: Any) -> Any:
        """Keep those of a refusal: its error does not carry them."""
        SEEN.headers = {name.lower(): value for name, value in response.headers.items()}
        return SEEN.headers

    def _raise_error(
        self, status_code: int, raw_data: str | bytes, content_type: str | None = None
    ) -> NoReturn:
        """Leave the body as it came: the base class fails on JSON that is no object."""
        SEEN.status = status_code
        raise TransportError(status_code, content_type, raw_data)

    def log_request_success(self, *_: Any) -> None:
        """Say nothing, and decode no bulk body in order to."""

    def log_request_fail(self, *_: Any, **__: Any) -> None:
        """Say nothing: whoever asked says what became of it."""


class OpenSearchClient:
    """See `Client`."""

    product = "opensearch"
    version = opensearchpy.VERSION[:3]

    def __init__(self, client: opensearchpy.OpenSearch, seconds: float) -> None:
        self._transport, self._seconds = client.transport, seconds

    @property
    def where(self) -> str:
        """See `Client`."""
        nodes = self._transport.connection_pool.connections
        return ", ".join(mask(f"{node.host}{node.url_prefix}") for node in nodes)

    def send(self, method: str, path: str, params: Mapping[str, str], body: Any) -> SinkReply | Answer:
        """See `Client`. OpenSearch names itself in no header: whose answer it is, its shape must tell."""
        headers = LINES if isinstance(body, bytes) else None
        try:
            # Without `timeout` here, one among the parameters, the engine's, would be taken for it.
            seconds = allowed(self._seconds)
            found = self._transport.perform_request(
                method, path, params=dict(params), body=body, headers=headers, timeout=seconds
            )
        except TransportError as error:
            return _reply(error) if isinstance(error.status_code, int) else _none(error)
        except (opensearchpy.SerializationError, RecursionError) as error:
            return unreadable(error)
        except Exception as error:
            return own(error)
        return SinkReply(SEEN.status, SEEN.headers, None if found == "" else found)

    def root(self) -> SinkReply | Answer:
        """See `Client`."""
        return self.send("GET", "/", {}, None)

    def close(self) -> None:
        """See `Client`."""
        self._transport.close()


def opensearch(
    urls: Sequence[str], *, connections: int, timeout: float, way: Way = as_it_is, **options: Any
) -> OpenSearchClient:
    """Make one; nothing is sent. `way` and `options` are as for the other client.

    Raises OSError or ValueError for what none can be made of.
    """
    tls = _tls(options) if any(url.startswith("https:") for url in urls) else {}
    client = opensearchpy.OpenSearch(
        list(urls),
        connection_class=way(WatchedConnection),
        pool_maxsize=connections,
        max_retries=0,
        retry_on_status=(),
        retry_on_timeout=False,
        timeout=timeout,
        headers=_login(options),
        **tls,
        dead_timeout=1,  # seconds that a node is left alone after it failed; doubled each time, to 32
    )
    return OpenSearchClient(client, timeout)


def _login(options: Mapping[str, Any]) -> dict[str, str]:
    schemes = {"api_key": "ApiKey", "basic_auth": "Basic"}
    given = next((name for name in schemes if name in options), None)
    return {"authorization": f"{schemes[given]} {options[given]}"} if given else {}


def _tls(options: Mapping[str, Any]) -> dict[str, Any]:
    """The system's authorities unless others are named; the client itself would take certifi's.

    A pinned fingerprint does without: who shows that certificate is trusted.
    """
    context, pinned = options.get("ssl_context"), options.get("ssl_assert_fingerprint")
    context = context or ssl.create_default_context()
    if pinned:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return {"ssl_context": context, "ssl_assert_fingerprint": pinned}


def _reply(error: TransportError) -> SinkReply:
    body: Any = error.info
    with suppress(ValueError, RecursionError):
        body = json.loads(body)
    return SinkReply(int(error.status_code), SEEN.headers, None if body == "" else body)


def _none(error: TransportError) -> Answer:
    tls, late = (isinstance(error, kind) for kind in (opensearchpy.SSLError, ConnectionTimeout))
    return failed(error, _cause(error), tls=tls, late=late)


def _cause(error: TransportError) -> BaseException | None:
    """urllib3's own error."""
    cause = error.args[2] if len(error.args) > 2 else None  # noqa: PLR2004 - status, text, cause
    return cause if isinstance(cause, BaseException) else None
