"""urllib3's connections, each held to the time of the request that it carries."""

import socket
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

from outboxctl.domain.clock import monotonic
from outboxctl.net.deadline import Watch

LEAST = 0.01  # seconds to connect, where hardly any are left


@dataclass
class Attempt:
    """A request to a node, and how far it has come.

    `node` is the node's URL. `watch` shuts the socket after `seconds`, of which `connecting` are for a
    connection. `sent`: the server may have something of it. `status`: of the answer, once that has begun.
    `silent`: no answer came in a while. `answered`: the node has answered before.
    """

    node: str
    asked: str
    seconds: float
    connecting: float
    answered: bool
    watch: Watch
    sent: bool = False
    silent: bool = False
    status: int | None = None


# urllib3 chooses the connection of a request by itself, in the thread of that request.
UNDER_WAY: ContextVar[Attempt] = ContextVar("UNDER_WAY")


class PlainConnection(HTTPConnection):
    """A connection that ends with its attempt: also while it connects, sends, or gets a byte at a time."""

    def connect(self) -> None:
        """Connect; each address of the name gets a share of the time for it."""
        addresses = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        self.timeout = max(LEAST, UNDER_WAY.get().connecting / len(addresses))
        super().connect()

    def send(self, data: Any) -> None:
        """Send a part of the request, unless its time is over: the machine may have been suspended."""
        if self.sock is None:
            self.connect()
        attempt = UNDER_WAY.get()
        left = attempt.watch.deadline - monotonic()
        if attempt.watch.expired or left <= 0:
            attempt.watch.expired = True
            raise TimeoutError
        attempt.watch.descriptor = self.sock.fileno  # of this object: a connection forgets it while one reads
        self.sock.settimeout(left)
        attempt.sent = True
        super().send(data)


class TlsConnection(PlainConnection, HTTPSConnection):
    """The same over TLS."""
