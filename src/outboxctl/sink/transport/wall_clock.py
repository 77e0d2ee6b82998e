"""A wall clock over each request, and what its connection tells: both client libraries use urllib3."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer
from outboxctl.domain.redaction import cut
from outboxctl.net.deadline import GUARD, Watch
from outboxctl.sink.transport.bounded import RefusedAnswerError, bounding
from outboxctl.sink.transport.no_answer import Peer, in_words

NOT_SENT = (NewConnectionError, NameResolutionError, ConnectTimeoutError)
TOO_LONG = "the answer took longer than the whole request may"
TOO_LATE = "the time of the request was over before it was sent"
NESTED = "the body is nested too deeply to be read"
LEAST = 0.01  # seconds to connect, where hardly any are left
UNBOUNDED = 3600.0  # seconds, where a client was made without a timeout


@dataclass
class ResponseRecord(threading.local):
    """Of this thread's request: the answer's status and headers, its peer, its watch, its time in seconds.

    Errors do not carry the first three.
    """

    status: int = 0
    peer: Peer | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    watch: Watch | None = None
    seconds: float | None = None


SEEN = ResponseRecord()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Requests of this thread may take so many seconds.

    As `client.options(request_timeout=…)`, which makes a client of fifty objects for each request.
    """
    before, SEEN.seconds = SEEN.seconds, seconds
    try:
        yield
    finally:
        SEEN.seconds = before


def allowed(usual: float | None) -> float:
    """Seconds that this thread's request may take: its own, else its client's usual ones."""
    return SEEN.seconds or usual or UNBOUNDED


@contextmanager
def watched(seconds: float, peer: Peer) -> Iterator[Watch]:
    """Watch this thread's request to `peer` for so many seconds."""
    SEEN.status, SEEN.headers, SEEN.peer = 0, {}, peer
    with GUARD.over(seconds) as watch:
        SEEN.watch = watch
        yield watch


def overdue(watch: Watch, cause: BaseException | None) -> bool:
    """Whether the clock ran out, after the request was sent.

    Asked after an answer too: one without a length just ends where it was cut.
    """
    return watch.expired and not isinstance(cause, NOT_SENT)


def failed(error: Exception, cause: BaseException | None, *, tls: bool, late: bool) -> Answer:
    """The Answer for a request that got none. `cause` is urllib3's own error."""
    if isinstance(cause, RefusedAnswerError):
        return Answer(0, cause.kind, str(cause), request=True)
    kind = _kind(cause, tls=tls, late=late)
    if kind in {"tls", "reset"}:
        from outboxctl.sink.transport.tls import NOT_OURS, explained  # noqa: PLC0415 - a moment that http does without

        if said := explained(cause or error, SEEN.peer, certain=kind == "tls"):
            return Answer(0, "tls", cut(said, 500), request=True, ours=not said.startswith(NOT_OURS))
    text = in_words(kind, cause, SEEN.peer) or str(cause or error)
    return Answer(0, kind, cut(text, 500), request=True)


def unreadable(error: Exception) -> Answer:
    """The Answer for a body that is not what its status or its type says."""
    bad = 200 <= SEEN.status < 300 or not SEEN.status  # noqa: PLR2004 - any 2xx
    text = NESTED if isinstance(error, RecursionError) else cut(str(error), 500)
    return Answer(SEEN.status, "bad_response" if bad else "", text, request=True)


def own(error: Exception) -> Answer:
    """The Answer for one of Python's own errors, which clients let through: its text may hold a secret."""
    return Answer(0, "client", type(error).__name__, request=True)


def _kind(cause: BaseException | None, *, tls: bool, late: bool) -> str:
    if tls:
        return "tls"
    if isinstance(cause, NOT_SENT):
        return "connect"
    if late:
        return "timeout"
    return "reset" if _closed_without_a_word(cause) else "connection_lost"


def _closed_without_a_word(cause: BaseException | None) -> bool:
    """Whether the peer reset or closed the connection before any answer: what a size limit can look like."""
    if not isinstance(cause, ProtocolError) or cause.args[0] != "Connection aborted.":
        return False  # broken in the middle of its answer
    return len(cause.args) > 1 and isinstance(cause.args[1], ConnectionError)


def _connect_in_time(connection: Any) -> None:
    """Before each write: connecting takes time, and the machine may be suspended meanwhile."""
    if connection.sock is None:
        connection.connect()
    watch = SEEN.watch
    if watch and monotonic() >= watch.deadline:
        watch.expired = True
        raise ReadTimeoutError(connection, "", TOO_LATE)


def watching(connection: Any) -> Any:
    """A connection class that tells the thread's watch which socket it uses, and bounds the answers."""

    class Watched(bounding(connection)):  # type: ignore[misc]
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

        def send(self, data: Any) -> Any:
            _connect_in_time(self)
            return super().send(data)

        def _new_conn(self) -> Any:
            # A name may have several addresses, and each would be given all of the time.
            if SEEN.watch:
                with suppress(socket.gaierror):  # the base class says it
                    addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
                    self.timeout = max(LEAST, (SEEN.watch.deadline - monotonic()) / len(addresses))
            return super()._new_conn()

        def _descriptor(self) -> int:
            return int(self.sock.fileno())  # none before it is connected

    Watched.__name__ = connection.__name__  # errors name it
    return Watched
