"""urllib3's connections, each held to the time of the request that it carries, and why one gave no answer."""

import socket
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException, RemoteDisconnected
from ssl import SSLError
from typing import Any

from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import NO_CREDENTIALS, Answer
from outboxctl.domain.redaction import cut
from outboxctl.net.certificates import SINK
from outboxctl.net.deadline import Watch
from outboxctl.sink.transport.aws import CredentialsError

LEAST = 0.01  # seconds to connect, where hardly any are left
UNREACHED = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError)
LATE = (TimeoutError, exceptions.TimeoutError, exceptions.EmptyPoolError)
# Of a connection that was made: the first that fits, since subclasses come before their base.
ENDS: dict[type[BaseException], str] = {
    RemoteDisconnected: "{node} closed the connection before it answered {asked}",
    ConnectionResetError: "{node} reset the connection before it answered {asked}",
    HTTPException: "the answer of {node} to {asked} is not HTTP",
    Exception: "{node}, asked for {asked}: {cause}",
}


@dataclass
class Attempt:
    """A request to a node, and how far it has come."""

    node: str  # its URL
    asked: str
    seconds: float  # after which `watch` shuts the socket
    connecting: float  # seconds of these for a connection
    answered: bool  # the node has answered before
    watch: Watch
    sent: bool = False  # the server may have something of it
    silent: bool = False  # no answer came in a while
    status: int | None = None  # of the answer, once that has begun


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


class RefusedAnswerError(exceptions.HTTPError):
    """An answer whose body is not read; `kind` is that of the `Answer`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def explain(error: Exception, attempt: Attempt) -> Answer:
    """The Answer for what a connection raised."""
    node, unsent, cause = attempt.node, not attempt.sent, _cause(error)
    if isinstance(error, RefusedAnswerError):
        return Answer(0, error.kind, str(error), request=True, node=node)
    if isinstance(error, CredentialsError):
        return Answer(0, NO_CREDENTIALS, cut(str(error), 500), request=True, unsent=True)
    if not isinstance(cause, OSError | HTTPException | exceptions.HTTPError):
        # Its text may hold a secret.
        return Answer(0, "client", type(cause).__name__, request=True, node=node, unsent=unsent)
    if isinstance(error, UNREACHED) or isinstance(cause, socket.gaierror):
        return Answer(0, "connect", cut(_unreached(cause, attempt), 500), request=True, unsent=unsent)
    kind, text = _ended(cause, attempt)
    if kind == "tls":
        return Answer(0, kind, f"{cut(text, 300)}; {SINK.hint}", request=True, node=node, unsent=unsent)
    return Answer(0, kind, cut(text, 500), request=True, unsent=unsent)


def _cause(error: Exception) -> Exception:
    """What urllib3 has wrapped: an error of the socket, of TLS or of HTTP."""
    if isinstance(error, UNREACHED) and isinstance(error.__cause__, OSError):
        return error.__cause__
    if isinstance(error, exceptions.SSLError | exceptions.ProtocolError) and error.args:
        return error.args[-1] if isinstance(error.args[-1], Exception) else error
    return error


def _unreached(cause: Exception, attempt: Attempt) -> str:
    if isinstance(cause, socket.gaierror):
        return f"the name of {attempt.node} cannot be resolved: {_words(cause)}"
    if isinstance(cause, ConnectionRefusedError):
        return f"{attempt.node} refused the connection"
    if isinstance(cause, TimeoutError):
        return f"{attempt.node} did not accept the connection within {attempt.connecting:.3g} s"
    return f"{attempt.node} cannot be reached: {_words(cause)}"


def _ended(cause: Exception, attempt: Attempt) -> tuple[str, str]:
    """The kind and the words for a request to a node that was reached."""
    node, asked = attempt.node, attempt.asked
    if attempt.watch.expired or isinstance(cause, LATE):
        busy = isinstance(cause, exceptions.EmptyPoolError)
        text = f"no connection to {node} was free" if busy else f"{node} did not finish the TLS handshake"
        late = f"{node} did not answer {asked} within {attempt.seconds:.3g} s"
        return "timeout", late if attempt.sent else f"{text} within {attempt.connecting:.3g} s"
    if isinstance(cause, SSLError | exceptions.SSLError):
        return "tls", str(cause)
    if attempt.status is not None:
        return "connection_lost", f"{node} closed the connection in the middle of its answer to {asked}"
    if isinstance(cause, ConnectionError) and not attempt.answered:  # most of all where TLS is expected
        ended = f"{node} ended the connection without an answer: {_words(cause)}"
        return "connect", f"{ended}; if it speaks TLS, write https:// into ELASTIC_URL"
    text = next(text for end, text in ENDS.items() if isinstance(cause, end))
    # A reset is what a size limit can look like.
    kind = "reset" if isinstance(cause, ConnectionError) else "connection_lost"
    return kind, text.format(node=node, asked=asked, cause=cause)


def _words(cause: Exception) -> str:
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
