"""The client for every engine: sends one request by `elastic_transport`; the reply, or why there is none."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from warnings import catch_warnings, simplefilter

from elastic_transport import SerializerCollection, Transport, TransportWarning

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer
from outboxctl.sink.engines import ELASTICSEARCH, OPENSEARCH, PRODUCT_HEADER, Engine, identity
from outboxctl.sink.transport.connection import LEAST
from outboxctl.sink.transport.discovery import SOONER, Discovery
from outboxctl.sink.transport.node import NoAnswerError, SinkNode, SinkNodeConfig, url_of
from outboxctl.sink.transport.pool import ProbingPool
from outboxctl.sink.transport.reply import WRONG_PRODUCT, SinkReply, body_of

REFUSED = range(300, 500)
JSON, LINES = "application/json", "application/x-ndjson"
NOT_YET = frozenset({502, 503, 504})  # it is starting, has no leader, or a proxy does not reach it
# What may be asked of another node again: it changes nothing. A view that was opened twice ends by itself.
READS = frozenset({"GET", "HEAD"})
READING = ("/_search", "/_mget", "/_count", "/_refresh", "/_pit", "/point_in_time", "/_has_privileges")


class Bytes(SerializerCollection):
    """Bodies stay bytes, whatever a header calls them: how an answer is read depends on its request."""

    def dumps(self, data: Any, mimetype: str | None = None) -> bytes:  # noqa: ARG002
        """As it is."""
        return bytes(data)

    def loads(self, data: bytes, mimetype: str | None = None) -> bytes:  # noqa: ARG002
        """As it is."""
        return data


class Request(NamedTuple):
    """What is sent; `target` is the path with its parameters, below that of the URL.

    All but letters, digits and `-._~` is percent-encoded: one spelling, which a signature has to repeat.
    """

    method: str
    target: str
    body: bytes | None
    headers: dict[str, str]

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        path = self.target.partition("?")[0]
        return self.method in READS or (self.method == "POST" and path.endswith(READING))


class Client:
    """Safe to use from several threads.

    With `engine` None the first answers decide which one it is: Elasticsearch names itself in each of them.
    Only where one comes without that name is `GET /` sent, within the same time; the request itself is not
    sent again. Each thread that does not know the engine yet asks: to wait for another thread's answer
    could take longer than the lease.

    A request that was surely not sent goes to the next node at once, within the same deadline. One that may
    have been sent is sent again only if it reads.
    """

    def __init__(
        self,
        nodes: Sequence[SinkNodeConfig],
        engine: Engine | None,
        timeout: float,
        *,
        discovery: Discovery | None = None,
    ) -> None:
        self._engine, self._timeout = engine, timeout
        # The URLs of the settings, without credentials.
        self.where = ", ".join(map(url_of, nodes))
        with catch_warnings():
            simplefilter("ignore", TransportWarning)  # of nodes that are named with other schemes or paths
            self._transport = Transport(
                list(nodes),
                node_class=SinkNode,
                node_pool_class=ProbingPool,
                max_retries=0,
                retry_on_status=(),
                meta_header=False,
                sniff_before_requests=discovery is not None,
                sniff_callback=discovery,
                min_delay_between_sniffing=SOONER,
            )
        self._transport.serializers = Bytes()
        pool = self._transport.node_pool
        assert isinstance(pool, ProbingPool)  # noqa: S101 - for the type checker
        self._pool = pool

    @property
    def engine(self) -> Engine:
        """The engine whose requests are sent; Elasticsearch until another has answered."""
        return self._engine or ELASTICSEARCH

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: Any = None,
        seconds: float | None = None,
    ) -> SinkReply | Answer:
        """Send one request within `seconds`; an Answer says why there is no reply. Nothing is raised.

        Bytes are NDJSON and go as they are; any other body but None is written as JSON. A 2xx that does not
        come from the engine is an Answer too, as far as the engine names itself.
        """
        deadline = monotonic() + (seconds or self._timeout)
        reply = self._raw(method, path, params, body, deadline)
        if isinstance(reply, Answer):
            return reply
        unknown = self._detect(reply, deadline) if self._engine is None else None
        header = self.engine.header
        if reply.ok and header and reply.headers.get(PRODUCT_HEADER) != header:
            return unknown or replace(WRONG_PRODUCT, node=reply.node)
        return reply

    def root(self, deadline: float | None = None) -> SinkReply | Answer:
        """`GET /`, whoever answers."""
        return self._raw("GET", "/", {}, None, deadline or monotonic() + self._timeout)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _detect(self, reply: SinkReply, deadline: float) -> Answer | None:
        """Find out the engine; an Answer that says why that cannot be told now, which is no other product."""
        if PRODUCT_HEADER in reply.headers:
            if reply.ok:  # a refusal may come from a proxy
                self._engine = ELASTICSEARCH
            return None
        about = body_of(self.root(deadline))
        if identity(about, {}).engine is OPENSEARCH:
            self._engine = OPENSEARCH
        return about if isinstance(about, Answer) and about.status not in REFUSED else None

    def _raw(
        self, method: str, path: str, params: Mapping[str, str], body: Any, deadline: float
    ) -> SinkReply | Answer:
        """The reply of the first node that can be asked."""
        try:
            content = body if body is None or isinstance(body, bytes) else _json(body)
            target = f"{path}?{urlencode(params, quote_via=quote, safe='')}" if params else path
        except Exception as error:
            return Answer(0, "client", type(error).__name__, request=True)  # its text may hold a secret
        kind = {} if content is None else {"content-type": LINES if content is body else JSON}
        request, replies = Request(method, target, content, kind), list[SinkReply | Answer]()
        self._pool.ready((deadline - monotonic()) / 2)
        for others in reversed(range(len(self._pool))):
            left = max(LEAST, deadline - monotonic())
            seconds = left / 2 if others and request.reads else left  # the rest is kept for the others
            replies.append(self._sent(request, seconds))
            if not _may_repeat(request, replies[-1]) or monotonic() >= deadline - LEAST:
                return replies[-1]
        return max(replies, key=_telling)

    def _sent(self, request: Request, seconds: float) -> SinkReply | Answer:
        """The request has the ids of the span that is active, where the process has an SDK for spans."""
        method, target, body, headers = request
        if "opentelemetry.sdk.trace" in sys.modules:
            from opentelemetry import propagate  # noqa: PLC0415 - slow to load

            propagate.inject(headers)
        try:
            meta, content = self._transport.perform_request(
                method, target, body=body, headers=headers, request_timeout=seconds
            )
        except NoAnswerError as error:
            return error.answer
        return SinkReply(meta.status, meta.headers, content or b"", url_of(meta.node))


def _json(body: Any) -> bytes:
    """What the engine cannot store, such as half of a surrogate pair, it refuses itself."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _may_repeat(request: Request, reply: SinkReply | Answer) -> bool:
    """Whether another node may be sent the same: this one got nothing of it, or it changes nothing."""
    if isinstance(reply, Answer):
        return reply.kind != "client" and (reply.unsent or request.reads)
    return reply.status in NOT_YET and request.reads


def _telling(reply: SinkReply | Answer) -> int:
    """How much it says of the engine: that a node is gone says least, what a node says of itself most."""
    return 2 if isinstance(reply, SinkReply) else int(not reply.unsent)
