"""The fault proxy as a library: `with Proxy(url) as proxy, proxy.fault(faults.busy()): …`."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from random import Random
from typing import Literal, Self

from outboxctl.domain.printable import brief
from outboxctl.drills.proxy.faults import ActiveFault, ProxyFault
from outboxctl.drills.proxy.server import Bulk, Gate, Gates, Point, ProxyServer
from outboxctl.drills.proxy.wire import PRODUCT, ProxyReply, ProxyRequest
from outboxctl.net.certificates import SINK, Files
from outboxctl.net.urls import credentials, parse_url, without_credentials

KEEP = 200  # bulk requests that are remembered
# Headers of one connection, which are not passed on (RFC 9110, 7.6.1), and those that http.client sets.
PER_HOP = {
    *("host", "content-length", "connection", "keep-alive", "transfer-encoding", "accept-encoding"),
    *("te", "trailer", "upgrade", "proxy-connection"),
}
PLAIN = Files(SINK)  # no files of our own
PATIENCE = 60.0  # seconds without a byte from the sink
BARE = {PRODUCT.lower(): None, "content-type": None}  # the sink's own replace them, or there are none


class Upstream:
    """The real sink: each request is passed on over a connection of its own.

    Credentials inside its URL are added to requests that bring none. `files`: PEM files for https.
    Raises UsageError where these cannot be read.
    """

    def __init__(self, url: str, files: Files = PLAIN) -> None:
        parts = parse_url(without_credentials(url))
        self._netloc, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._tls = files.context() if parts.scheme == "https" else None
        inside = credentials(url)
        self._login = f"Basic {b64encode(':'.join(inside).encode()).decode()}" if inside else None

    def answer(self, request: ProxyRequest) -> ProxyReply:
        """Pass a request on; a 502 with the reason where no answer comes."""
        try:
            with closing(self._connection()) as connection:
                return self._ask(connection, request)
        except (OSError, HTTPException, ValueError) as error:
            why = brief(f"{type(error).__name__}: {error}", 200)
            reason = f"the fault proxy got no answer from the sink: {why}"
            body = {"error": {"type": "proxy_upstream_exception", "reason": reason}, "status": 502}
            return ProxyReply(502, json.dumps(body).encode(), {PRODUCT: None})

    def _connection(self) -> HTTPConnection:
        if self._tls:
            return HTTPSConnection(self._netloc, timeout=PATIENCE, context=self._tls)
        return HTTPConnection(self._netloc, timeout=PATIENCE)

    def _ask(self, connection: HTTPConnection, request: ProxyRequest) -> ProxyReply:
        headers = {name: value for name, value in request.headers.items() if name not in PER_HOP}
        if self._login:
            headers.setdefault("authorization", self._login)
        connection.request(request.method, self._prefix + request.target, request.body or None, headers)
        reply = connection.getresponse()
        named = {name.lower() for name in reply.headers} - PER_HOP
        kept = {name: ", ".join(reply.headers.get_all(name, [])) for name in named}
        return ProxyReply(reply.status, reply.read(), {**BARE, **kept})


class Proxy(ProxyServer):
    """A proxy of the sink at `upstream` that serves in the block of a `with`, on 127.0.0.1; port 0: any.

    Everything passes through, headers included, but for what a fault changes. UsageError where the port is
    taken. At the end of the block every connection ends; what the sink has received it may still apply.
    """

    def __init__(self, upstream: str, port: int = 0, *, files: Files = PLAIN) -> None:
        self._active: ActiveFault | None = None
        super().__init__(port, Upstream(upstream, files).answer, Gates(), KEEP)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection and all that waits."""
        self.closing.set()
        self.clear()
        self.close()

    @contextmanager
    def fault(self, fault: ProxyFault) -> Iterator[None]:
        """Let a fault hold until the block ends, and no other; what it holds up goes on at once then."""
        self.set(fault)
        try:
            yield
        finally:
            self.clear()

    def set(self, fault: ProxyFault) -> None:
        """Let this fault hold, and no other, until `clear`. The same requests are struck each time."""
        self._change(ActiveFault(fault, rng=Random(0)))  # noqa: S311 - chance, not a secret

    def clear(self) -> None:
        """End the fault."""
        self._change(None)

    def hold(self, point: Literal["before apply", "after apply"]) -> AbstractContextManager[Gate]:
        """Hold every bulk request that comes to this point until the block ends, or `let_go` of the gate."""
        return self.gates.hold(Point(point))

    def choose(self, request: ProxyRequest, bulk: Bulk | None) -> ActiveFault:  # noqa: ARG002 - the base's
        """The fault that holds, if it strikes this request."""
        with self._lock:
            return self._active if self._active and self._active.strikes(request) else ActiveFault()

    def _change(self, active: ActiveFault | None) -> None:
        with self._lock:
            before, self._active = self._active, active
        if before:
            before.over.set()
        listening, wanted = self._acceptor is not None, active is None or active.fault.listening
        if wanted != listening and not self.closing.is_set():
            self.listen() if wanted else self.refuse()
