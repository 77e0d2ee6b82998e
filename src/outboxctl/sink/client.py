"""Opening a client whose own retries are off: a resend is the worker's decision, never the client's."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from elastic_transport import (
    ConnectionTimeout,
    NdjsonSerializer,
    NodeConfig,
    TransportError,
    Urllib3HttpNode,
)
from elasticsearch import Elasticsearch
from urllib3 import HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from outboxctl.guard import GUARD, Watch
from outboxctl.settings import Settings
from outboxctl.sink.security import security, unusable
from outboxctl.urls import without_credentials

NOT_SENT = (NewConnectionError, NameResolutionError, ConnectTimeoutError)
LONGEST = 30.0  # seconds that a request may take where no deadline is given
LEAST = 0.01  # seconds to connect, where hardly any are left
UNBOUNDED = 3600.0  # seconds, where a client was made without a timeout


@dataclass
class Seen(threading.local):
    """Of this thread's request: the answer's status and the node, for errors without, its watch, its time."""

    status: int = 0
    config: NodeConfig | None = None
    watch: Watch | None = None
    seconds: float | None = None


SEEN = Seen()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Requests of this thread may take so many seconds.

    As `client.options(request_timeout=…)`, which makes a client of fifty objects for each request.
    """
    SEEN.seconds = seconds
    try:
        yield
    finally:
        SEEN.seconds = None


class WatchedNode(Urllib3HttpNode):
    """The client's own HTTP node, with a wall clock over each request and a memory for its status.

    A 503 without Content-Type is raised by the client as SerializationError without a status.
    """

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        if config.ssl_context and isinstance(self.pool, HTTPSConnectionPool):
            self.pool.ca_certs = None  # the client would add those of certifi to the ones that we trust
        self.pool.ConnectionCls = _watched(self.pool.ConnectionCls)

    def perform_request(self, *args: Any, **kwargs: Any) -> Any:
        """Send one request (see the base class); ConnectionTimeout once its whole time is over."""
        SEEN.status, SEEN.config = 0, self.config
        if SEEN.seconds:
            kwargs["request_timeout"] = SEEN.seconds
        given = kwargs.get("request_timeout")
        seconds = given if isinstance(given, int | float) else self.config.request_timeout
        with GUARD.over(seconds or UNBOUNDED) as watch:
            SEEN.watch = watch
            try:
                response = super().perform_request(*args, **kwargs)
            except TransportError as error:
                _unless_expired(watch, error)
                raise
            _unless_expired(watch, None)  # an answer without a length just ends where it was cut
        SEEN.status = response.meta.status
        return response


def _unless_expired(watch: Watch, error: Exception | None) -> None:
    if watch.expired and not (error and isinstance(error.__cause__, NOT_SENT)):
        raise ConnectionTimeout("the answer took longer than the whole request may") from error


def _watched(connection: Any) -> Any:
    """A connection class that tells the thread's watch which socket it uses."""

    class Watched(connection):  # type: ignore[misc]
        def request(self, *args: Any, **kwargs: Any) -> Any:
            watch = SEEN.watch
            if watch is None:
                return super().request(*args, **kwargs)
            watch.descriptor = self._descriptor
            try:
                return super().request(*args, **kwargs)
            finally:
                if self.sock:  # keep it: a connection forgets its socket where the answer has no length
                    watch.descriptor = self.sock.fileno

        def _new_conn(self) -> Any:
            # A name may have several addresses, and each would be given all of the time.
            watch = SEEN.watch
            with suppress(socket.gaierror):  # the base class says it
                if watch:
                    addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
                    self.timeout = max(LEAST, (watch.deadline - monotonic()) / len(addresses))
            return super()._new_conn()

        def _descriptor(self) -> int:
            return int(self.sock.fileno())  # none before it is connected

    Watched.__name__ = connection.__name__  # errors name it
    return Watched


def _node(settings: Settings) -> type[WatchedNode]:
    if not settings.tracing:
        return WatchedNode
    from outboxctl.sink.traced import TracedNode  # noqa: PLC0415 - an extra, and half a second to load

    return TracedNode


class Untouched(NdjsonSerializer):
    """A bulk body is bytes already and ends with a newline; the client's serializer would copy it twice."""

    mimetype = "application/vnd.elasticsearch+x-ndjson"

    def dumps(self, data: bytes) -> bytes:
        """Return the very bytes."""
        return data


def connect(
    settings: Settings, *, connections: int = 4, timeout: float | None = None, only: str | None = None
) -> Elasticsearch:
    """Make a client for the configured sink, or with `only` for that one of its URLs; nothing is sent yet.

    `timeout` is in seconds; by default three quarters of the lease, at most 30. Raises UsageError for
    unusable certificates or contradicting credentials.
    """
    options = security(settings)
    try:
        return Elasticsearch(
            [without_credentials(url) for url in ([only] if only else settings.sink_urls)],
            node_class=_node(settings),
            serializers={Untouched.mimetype: Untouched(), "application/x-ndjson": Untouched()},
            connections_per_node=connections,
            max_retries=0,
            retry_on_status=(),
            retry_on_timeout=False,
            request_timeout=timeout or min(LONGEST, settings.delivery_seconds),
            **options,
        )
    except (OSError, ValueError) as error:
        raise unusable(error) from None
