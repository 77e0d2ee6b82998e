"""A node: one of the sink's URLs, with its connections, left alone for a while after it failed."""

from collections import deque

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer
from outboxctl.net.deadline import GUARD
from outboxctl.net.urls import mask, parse_url
from outboxctl.sink.transport.connection import Connection, Request, TlsConnection
from outboxctl.sink.transport.credentials import Security
from outboxctl.sink.transport.no_answer import explain
from outboxctl.sink.transport.reply import SinkReply
from outboxctl.sink.transport.tls import Peer

LONGEST_PAUSE = 30.0  # seconds that a node is left alone at most: from 1, doubled by each failure in a row
HEALTHY = frozenset({400, 401, 402, 403, 404, 409})  # beside 2xx: the node works, and refuses this request


class Node:
    """Safe to use from several threads: a connection is one thread's at a time.

    `unused_until` is on `clock.monotonic`. It and the failures are written without a lock: of two failures
    at once, one may not count.
    """

    def __init__(self, url: str, security: Security, connections: int) -> None:
        parts = parse_url(url)
        secure = parts.scheme == "https"
        self.peer = Peer(
            parts.hostname or "",
            parts.port or 0,
            secure,
            security.context if secure else None,
            security.pin if secure else None,
        )
        self.url, self._prefix = mask(url), parts.path.rstrip("/")
        self.unused_until, self._failures = 0.0, 0
        self._idle: deque[Connection] = deque(maxlen=connections)

    def exchange(self, request: Request, seconds: float) -> SinkReply | Answer:
        """Send one request within so many seconds; an Answer says why there is no reply."""
        connection = self._connection()
        reply: SinkReply | Answer | None = None
        try:
            with GUARD.over(seconds) as watch:
                try:
                    reply = connection.exchange(watch, self._prefix, request)
                except Exception as error:
                    reply = explain(error, self.peer, reached=connection.reached, late=watch.expired)
        finally:
            self._put_back(connection, usable=isinstance(reply, SinkReply))
        self._count(reply)
        return reply

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return (TlsConnection if self.peer.secure else Connection)(self.peer)

    def _put_back(self, connection: Connection, *, usable: bool) -> None:
        if not usable or len(self._idle) == self._idle.maxlen:
            connection.close()
        else:
            self._idle.append(connection)

    def _count(self, reply: SinkReply | Answer) -> None:
        if isinstance(reply, SinkReply) and (reply.ok or reply.status in HEALTHY):
            self.unused_until, self._failures = 0.0, 0
        else:
            pause = min(2.0 ** min(self._failures, 10), LONGEST_PAUSE)
            self.unused_until, self._failures = monotonic() + pause, self._failures + 1
