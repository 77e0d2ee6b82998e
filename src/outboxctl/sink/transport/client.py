"""The HTTP client for every engine: sends one request, and returns the reply or why there is none."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer
from outboxctl.sink.engines import ELASTICSEARCH, OPENSEARCH, PRODUCT_HEADER, Engine, identity
from outboxctl.sink.transport.connection import Request
from outboxctl.sink.transport.discovery import Discovery
from outboxctl.sink.transport.node import Node
from outboxctl.sink.transport.nodes import Exchange, Nodes
from outboxctl.sink.transport.reply import WRONG_PRODUCT, SinkReply, body_of, parsed

HEADERS = {"accept": "application/json", "user-agent": "outboxctl"}
SERVER_ERROR = 500
JSON, LINES = "application/json", "application/x-ndjson"


class Client:
    """Safe to use from several threads.

    With `engine` None the first answers decide which one it is: Elasticsearch names itself in each of them.
    Only where one comes without that name is `GET /` sent, within the same time; the request itself is not
    sent again. Each thread that does not know the engine yet asks: to wait for another thread's answer
    could take longer than the lease. Which node gets a request, and when another one does: see `Nodes`.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        engine: Engine | None,
        authorization: str | None,
        timeout: float,
        *,
        exchange: Exchange = Node.exchange,
        discovery: Discovery | None = None,
    ) -> None:
        self._engine, self._timeout = engine, timeout
        self._headers = HEADERS | ({"authorization": authorization} if authorization else {})
        self._named, self._nodes = nodes, Nodes(nodes, exchange, self._headers, discovery)

    @property
    def engine(self) -> Engine:
        """The engine whose requests are sent; Elasticsearch until another has answered."""
        return self._engine or ELASTICSEARCH

    @property
    def where(self) -> str:
        """The URLs of the settings, without credentials."""
        return ", ".join(node.url for node in self._named)

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: Any = None,
        seconds: float | None = None,
        *,
        expected: bytes | None = None,
    ) -> SinkReply | Answer:
        """Send one request within `seconds`; an Answer says why there is no reply. Nothing is raised.

        Bytes are NDJSON and go as they are; any other body but None is written as JSON. A 2xx that does not
        come from the engine is an Answer too, as far as the engine names itself. A body that equals
        `expected` is not parsed: the reply has `expected` itself.
        """
        deadline = monotonic() + (seconds or self._timeout)
        reply = self._raw(method, path, params, body, deadline)
        if isinstance(reply, Answer):
            return reply
        unknown = self._detect(reply, deadline) if self._engine is None else None
        header = self.engine.header
        if reply.ok and header and reply.headers.get(PRODUCT_HEADER) != header:
            return unknown or replace(WRONG_PRODUCT, node=reply.node)
        return parsed(reply, expected)

    def root(self) -> SinkReply | Answer:
        """`GET /`, whoever answers."""
        reply = self._raw("GET", "/", {}, None, monotonic() + self._timeout)
        return reply if isinstance(reply, Answer) else parsed(reply)

    def close(self) -> None:
        """Close the connections."""
        self._nodes.close()

    def _detect(self, reply: SinkReply, deadline: float) -> Answer | None:
        """Find out the engine; an Answer that says why that cannot be told now, which is no other product."""
        if PRODUCT_HEADER in reply.headers:
            if reply.ok:  # a refusal may come from a proxy
                self._engine = ELASTICSEARCH
            return None
        root = self._raw("GET", "/", {}, None, deadline)
        root = root if isinstance(root, Answer) else parsed(root)
        if isinstance(root, Answer):
            return root
        if identity(root.body).distribution == OPENSEARCH.name:
            self._engine = OPENSEARCH
        refusal = body_of(root)
        return refusal if isinstance(refusal, Answer) and root.status >= SERVER_ERROR else None

    def _raw(
        self, method: str, path: str, params: Mapping[str, str], body: Any, deadline: float
    ) -> SinkReply | Answer:
        """The reply with its body as bytes."""
        try:
            content = body if body is None or isinstance(body, bytes) else _json(body)
            target = f"{path}?{urlencode(params, safe=',*')}" if params else path
        except Exception as error:
            return Answer(0, "client", type(error).__name__, request=True)  # its text may hold a secret
        kind = {} if content is None else {"content-type": LINES if content is body else JSON}
        return self._nodes.exchange(Request(method, target, content, self._headers | kind), deadline)


def _json(body: Any) -> bytes:
    """What the sink cannot store, such as half of a surrogate pair, it refuses itself."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
