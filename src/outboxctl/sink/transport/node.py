"""A node: one of the sink's URLs, with its connections."""

from collections import deque

from outboxctl.domain.failures import Answer
from outboxctl.net.deadline import GUARD
from outboxctl.net.urls import mask, parse_url
from outboxctl.sink.transport.connection import NodeConnection, Request, TlsConnection
from outboxctl.sink.transport.credentials import Security
from outboxctl.sink.transport.no_answer import Attempt, asked, explain
from outboxctl.sink.transport.reply import SinkReply
from outboxctl.sink.transport.tls import Peer


class Node:
    """Safe to use from several threads: a connection is one thread's at a time."""

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
        self._idle: deque[NodeConnection] = deque(maxlen=connections)
        self._answered = False

    def exchange(self, request: Request, seconds: float) -> SinkReply | Answer:
        """Send one request within so many seconds; an Answer says why there is no reply."""
        connection = self._connection()
        reply: SinkReply | Answer | None = None
        try:
            with GUARD.over(seconds) as watch:
                try:
                    reply = connection.exchange(watch, self._prefix, request)._replace(node=self.url)
                    self._answered = True
                except Exception as error:
                    reply = explain(error, self._attempt(connection, request, seconds, late=watch.expired))
        finally:
            self._put_back(connection, usable=isinstance(reply, SinkReply))
        return reply

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _attempt(
        self, connection: NodeConnection, request: Request, seconds: float, *, late: bool
    ) -> Attempt:
        connecting = seconds if request.connecting is None else min(seconds, request.connecting)
        what = asked(request.method, request.target)
        how_far = (connection.reached, connection.sent, late, self._answered)
        return Attempt(self.url, what, seconds, connecting, *how_far)

    def _connection(self) -> NodeConnection:
        try:
            return self._idle.pop()
        except IndexError:
            return (TlsConnection if self.peer.secure else NodeConnection)(self.peer)

    def _put_back(self, connection: NodeConnection, *, usable: bool) -> None:
        if not usable or len(self._idle) == self._idle.maxlen:
            connection.close()
        else:
            self._idle.append(connection)
