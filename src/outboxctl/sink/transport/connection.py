"""One HTTP connection to a node: opened, used and read within the time of a request."""

import socket
from contextlib import suppress
from typing import Any, NamedTuple

from urllib3.connection import HTTPConnection
from urllib3.util import connection as dialer

from outboxctl.domain.clock import monotonic
from outboxctl.net.deadline import Watch
from outboxctl.sink.transport.bounded import RefusedAnswerError, most, read
from outboxctl.sink.transport.reply import SinkReply
from outboxctl.sink.transport.tls import Peer

LEAST = 0.01  # seconds to connect, where hardly any are left


class Request(NamedTuple):
    """What is sent; `target` is the path with its parameters, below that of the URL.

    `connecting`: seconds that a connection may take at most, None: as many as the request.
    """

    method: str
    target: str
    body: bytes | None
    headers: dict[str, str]
    connecting: float | None = None


class NodeConnection(HTTPConnection):
    """A connection for one request at a time, whose `watch` shuts the socket at the deadline.

    `reached`: whether the last attempt to connect got as far as the server; `sent`: whether anything of the
    last request may have.
    """

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer.host, peer.port)
        self.peer, self.watch, self.reached, self.sent = peer, Watch(0.0), False, False
        self._connecting: float | None = None

    def exchange(self, watch: Watch, prefix: str, request: Request) -> SinkReply:
        """Send one request, once, and read the answer, whose body stays bytes.

        Raises TimeoutError, RefusedAnswerError, OSError, and what http.client and urllib3 raise.
        """
        self.watch, self.sent, self._connecting = watch, False, request.connecting
        if not self.is_connected:
            self.close()  # the server has closed it since
            self.connect()
        watch.descriptor = self.sock.fileno  # of this object: the connection forgets it if there is no length
        self.timeout = self._seconds_left()
        with suppress(BrokenPipeError, ConnectionResetError):  # an answer may have come before, such as 413
            self.request(
                request.method,
                prefix + request.target,
                request.body,
                request.headers,
                preload_content=False,
                decode_content=False,
            )
        reply = self._reply(most(request.target, request.body))
        if watch.expired:  # a body without a length ends where the socket was shut
            raise TimeoutError
        return reply

    def connect(self) -> None:
        """Connect; each address of the name gets a share of the time for it."""
        self.reached = False
        addresses = socket.getaddrinfo(self.peer.host, self.peer.port, type=socket.SOCK_STREAM)
        seconds = self._seconds_left()
        if self._connecting is not None:
            seconds = min(seconds, max(LEAST, self._connecting))
        share = max(LEAST, seconds / len(addresses))
        where = (self.peer.host, self.peer.port)
        self.sock = dialer.create_connection(where, share, socket_options=self.socket_options)
        self.sock.settimeout(seconds)  # of a handshake, too; the request sets its own
        self.reached = True

    def send(self, data: Any) -> None:
        """Send a part of the request, unless its time is over: the machine may have been suspended."""
        if self.watch.expired or monotonic() >= self.watch.deadline:
            self.watch.expired = True
            raise TimeoutError
        self.sent = True
        super().send(data)

    def _reply(self, limit: int) -> SinkReply:
        """The answer; without its body where that is refused and the status is no 2xx."""
        response = self.getresponse()
        reply = SinkReply(response.status, response.headers, b"")
        try:
            return reply._replace(body=read(response, limit))
        except RefusedAnswerError:
            response.close()
            self.close()  # what is still to come is no answer to the next request
            if reply.ok:
                raise
            return reply

    def _seconds_left(self) -> float:
        return max(LEAST, self.watch.deadline - monotonic())


class TlsConnection(NodeConnection):
    """The same over TLS."""

    default_port = 443  # type: ignore[misc] # as in urllib3's own class for TLS

    def connect(self) -> None:
        """Connect, and shake hands; ssl.SSLError where one side does not trust the other."""
        self._shake_hands()
        if self.peer.pin and not self.peer.pin.proven(self.sock):
            self.sock.close()
            self._shake_hands()

    def _shake_hands(self) -> None:
        super().connect()
        context = self.peer.pin.context if self.peer.pin else self.peer.context
        assert context  # noqa: S101
        with self.sock.dup() as spare:  # wrapping takes the descriptor from the socket
            self.watch.descriptor = spare.fileno
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)
