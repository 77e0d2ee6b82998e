"""Elasticsearch, by its own client; that one's retries are off: a resend is the worker's decision."""

from collections.abc import Mapping, Sequence
from typing import Any

import elastic_transport
import elasticsearch
from elastic_transport import ConnectionTimeout, NdjsonSerializer, NodeConfig, TransportError, Urllib3HttpNode
from urllib3 import HTTPSConnectionPool

from outboxctl.domain.failures import Answer
from outboxctl.net.urls import mask
from outboxctl.sink.transport.client import WRONG_PRODUCT, SinkReply, Way, as_it_is
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

ROOT_SECONDS = 10.0
JSON = {"accept": "application/json"}
WITH_JSON = JSON | {"content-type": "application/json"}
WITH_LINES = JSON | {"content-type": "application/x-ndjson"}


class WatchedNode(Urllib3HttpNode):
    """The client's own HTTP node, with a wall clock over each request and a memory for its status.

    A 503 without Content-Type is raised by the client as SerializationError without a status.
    """

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        if config.ssl_context and isinstance(self.pool, HTTPSConnectionPool):
            self.pool.ca_certs = None  # the client would add those of certifi to the ones that we trust
        self._peer = Peer(config.host, config.port, config.scheme == "https", config.ssl_context)
        self.pool.ConnectionCls = watching(self.pool.ConnectionCls)

    def perform_request(self, *args: Any, **kwargs: Any) -> Any:
        """Send one request (see the base class); ConnectionTimeout once its whole time is over."""
        given = kwargs.get("request_timeout")
        seconds = allowed(given if isinstance(given, int | float) else self.config.request_timeout)
        kwargs["request_timeout"] = seconds
        with watched(seconds, self._peer) as watch:
            try:
                response = super().perform_request(*args, **kwargs)
            except TransportError as error:
                if overdue(watch, error.__cause__):
                    raise ConnectionTimeout(TOO_LONG) from error
                raise
            if overdue(watch, None):
                raise ConnectionTimeout(TOO_LONG)
        SEEN.status = response.meta.status
        return response


class Untouched(NdjsonSerializer):
    """A bulk body is bytes already and ends with a newline; the client's serializer would copy it twice."""

    mimetype = "application/vnd.elasticsearch+x-ndjson"

    def dumps(self, data: bytes) -> bytes:
        """Return the very bytes."""
        return data


class ElasticClient:
    """See `Client`."""

    product = "elasticsearch"
    version = elasticsearch.__version__

    def __init__(self, client: elasticsearch.Elasticsearch) -> None:
        self._client = client

    @property
    def where(self) -> str:
        """See `Client`."""
        return ", ".join(mask(node.base_url) for node in self._client.transport.node_pool.all())

    def send(self, method: str, path: str, params: Mapping[str, str], body: Any) -> SinkReply | Answer:
        """See `Client`."""
        headers = JSON if body is None else WITH_LINES if isinstance(body, bytes) else WITH_JSON
        answer: Any
        try:
            answer = self._client.perform_request(
                method, path, params=params, headers=headers, body=body, endpoint_id=_endpoint(path)
            )
        except elasticsearch.ApiError as error:  # UnsupportedProductError is one, of a 2xx
            answer = error
        except Exception as error:
            return _none(error)
        reply = SinkReply(answer.meta.status, answer.meta.headers, answer.body)
        return reply if _is_elasticsearch(reply) else WRONG_PRODUCT

    def root(self) -> SinkReply | Answer:
        """See `Client`. The client asks for its own major version, which an older server refuses.

        Its transport adds nothing, so the credentials that the client would have added are named here, and
        that nothing is tried again.
        """
        headers = {**self._client._headers, **JSON}
        options: dict[str, Any] = {"headers": headers, "max_retries": 0, "request_timeout": ROOT_SECONDS}
        try:
            meta, body = self._client.transport.perform_request("GET", "/", **options)
        except Exception as error:
            return _none(error)
        return SinkReply(meta.status, meta.headers, body)

    def close(self) -> None:
        """See `Client`."""
        self._client.close()


def elastic(
    urls: Sequence[str], *, connections: int, timeout: float, way: Way = as_it_is, **options: Any
) -> ElasticClient:
    """Make one, with the class of its node changed by `way`; nothing is sent.

    Raises OSError or ValueError for what none can be made of.
    """
    return ElasticClient(
        elasticsearch.Elasticsearch(
            urls,
            node_class=way(WatchedNode),
            serializers={Untouched.mimetype: Untouched(), "application/x-ndjson": Untouched()},
            connections_per_node=connections,
            max_retries=0,
            retry_on_status=(),
            retry_on_timeout=False,
            request_timeout=timeout,
            **options,
        )
    )


def _endpoint(path: str) -> str | None:
    """What a trace calls a request, as the client's own methods do: `bulk`, `mget`; None: by its method."""
    return next((part[1:] for part in path.split("/") if part.startswith("_")), None)


def _is_elasticsearch(reply: SinkReply) -> bool:
    """Whether this very answer says so: the client asks only once, and a proxy may answer later."""
    return not reply.ok or reply.headers.get("x-elastic-product") == "Elasticsearch"


def _none(error: Exception) -> Answer:
    """Why there is no reply."""
    if isinstance(error, elastic_transport.SerializationError | RecursionError):
        return unreadable(error)
    if isinstance(error, TransportError):
        tls, late = (isinstance(error, kind) for kind in (elastic_transport.TlsError, ConnectionTimeout))
        return failed(error, error.__cause__, tls=tls, late=late)
    return own(error)
