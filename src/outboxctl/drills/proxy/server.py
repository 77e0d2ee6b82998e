"""The fault proxy, on 127.0.0.1 alone: `with Proxy(url) as proxy, proxy.fault(faults.busy()): …`."""

import json
import socket
import socketserver
import sys
import threading
from abc import abstractmethod
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.drills.proxy import wire
from outboxctl.drills.proxy.faults import HEALTHY, ActiveFault, ProxyFault
from outboxctl.drills.proxy.wire import PRODUCT, Backend, ProxyReply, ProxyRequest
from outboxctl.drills.services.sockets import Reserved
from outboxctl.net.browsers import from_a_page
from outboxctl.net.certificates import SINK, Files
from outboxctl.net.urls import credentials, parse_url, without_credentials

# Headers of one connection, which are not passed on (RFC 9110, 7.6.1), and those that http.client sets.
PER_HOP = {
    *("host", "content-length", "connection", "keep-alive", "transfer-encoding", "accept-encoding"),
    *("te", "trailer", "upgrade", "proxy-connection"),
}
PLAIN = Files(SINK)  # no files of our own
PATIENCE = 60.0  # seconds without a byte from the sink
BARE = {PRODUCT.lower(): None, "content-type": None}  # the sink's own replace them, or there are none
POLL = 0.02  # seconds until a server ceases to listen after shutdown()


class Point(StrEnum):
    """The points at which a bulk request can be held."""

    BEFORE_APPLY = "before apply"
    AFTER_APPLY = "after apply"


@dataclass
class Gate:
    """Holds the bulk requests that come to its point until it is opened."""

    point: Point
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def wait(self, within: float = 20) -> None:
        """Wait until a request has come here; TimeoutError if none does."""
        if not self.reached.wait(within):
            raise TimeoutError(f"no request came to {self.point!r} within {within} s")

    def let_go(self) -> None:
        """Let everything pass from now on."""
        self.opened.set()


class Gates:
    """The gates that are closed now."""

    def __init__(self) -> None:
        self.gates: list[Gate] = []

    @contextmanager
    def hold(self, point: Point) -> Iterator[Gate]:
        """Hold every bulk request that comes to this point until the block ends, or `let_go`."""
        gate = Gate(point)
        self.gates.append(gate)
        try:
            yield gate
        finally:
            self.gates.remove(gate)
            gate.let_go()

    def pause(self, point: Point) -> None:
        """Hold the calling request while there is a gate at this point."""
        for gate in [gate for gate in self.gates if gate.point is point]:
            gate.reached.set()
            gate.opened.wait()


@dataclass
class ProxyCounts:
    """Counts of requests (not of refused connections), bulk requests, those struck, and items refused."""

    requests: int = 0
    bulks: int = 0
    struck: int = 0
    items_failed: int = 0


class Handler(BaseHTTPRequestHandler):
    """Reads each request, and sends the answer as the fault demands."""

    server: "ProxyServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        """Serve one request, unless a web page sent it: the sink would be sent our credentials for it."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal():
            self.send_error(411)
            return
        if int(length) > self.server.limit:
            wire.reset(self.connection)
            self.close_connection = True
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):  # the client has left
            self.close_connection = True
        elif why := from_a_page(headers, self.server.names):
            self.send_error(403, explain=f"the fault proxy refused this request: {why}")
        else:
            self._send(ProxyRequest(self.command, self.path, headers, body))

    # The base class dispatches by these names.
    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_OPTIONS = do_PATCH = answer  # noqa: N815

    def _send(self, request: ProxyRequest) -> None:
        reply, active = self.server.answer(request)
        if request.method == "HEAD":
            reply = replace(reply, body=b"")
        fault = active.fault
        again = wire.send(self.connection, reply, fault.ending, pace=fault.pace, until=active.over)
        self.close_connection = self.close_connection or not again

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's names
        """Log nothing: requests are counted."""


class ProxyServer(ThreadingHTTPServer):
    """A server that has its port from the start to `close`, and listens after `listen`.

    `backend` applies what is passed on, bulk requests are held at `gates`; a subclass implements `choose`.
    UsageError where the port is taken.
    """

    request_queue_size = 128
    limit = sys.maxsize  # bytes of the largest body that is read; a larger one is reset

    def __init__(self, port: int, backend: Backend, gates: Gates) -> None:
        try:
            self._port = Reserved(port)
        except OSError as error:
            why = f"cannot listen on 127.0.0.1:{port}: {error.strerror or error}"
            raise UsageError(why, hint="choose another port") from None
        super().__init__(("127.0.0.1", self._port.port), Handler, bind_and_activate=False)
        self.server_port, self.url = self._port.port, f"http://127.0.0.1:{self._port.port}"
        # What a `Host` header may hold.
        self.names = frozenset(f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost", "[::1]"))
        self.closing = threading.Event()  # once it is set, no request reaches the sink
        self.gates, self._backend = gates, backend
        self._lock = threading.Lock()
        self.counts = ProxyCounts()
        self._connections: set[Any] = set()
        self._acceptor: threading.Thread | None = None

    @abstractmethod
    def choose(self, request: ProxyRequest) -> ActiveFault:
        """Return the fault that this request meets."""

    def answer(self, request: ProxyRequest) -> tuple[ProxyReply, ActiveFault]:
        """Return the answer, and the fault that says how to send it. ConnectionAbortedError if `closing`."""
        active = self.choose(request)
        fault = active.fault
        with self._lock:
            self.counts.requests += 1
            self.counts.bulks += request.is_bulk
            self.counts.struck += fault is not HEALTHY
        active.over.wait(fault.before)
        if request.is_bulk:
            self.gates.pause(Point.BEFORE_APPLY)
        if self.closing.is_set():
            raise ConnectionAbortedError
        truth = self._apply(request, fault) if fault.apply else ProxyReply()
        if request.is_bulk:
            self.gates.pause(Point.AFTER_APPLY)
        active.over.wait(fault.after)
        return fault.changed(truth), active

    def _apply(self, request: ProxyRequest, fault: ProxyFault) -> ProxyReply:
        if not (fault.items and request.is_bulk):
            return self._backend(request)
        truth, failed = wire.apply_without(request, fault.items, self._backend)
        with self._lock:
            self.counts.items_failed += failed
        return truth

    def listen(self) -> None:
        """Accept connections from now on."""
        self.socket = socket.socket(self.address_family, self.socket_type)
        socketserver.TCPServer.server_bind(self)  # without the base class's look-up of a host name
        self.server_activate()
        self._acceptor = threading.Thread(target=self.serve_forever, args=(POLL,), name="proxy", daemon=True)
        self._acceptor.start()

    def refuse(self) -> None:
        """Keep the port and accept nothing on it, so that the kernel refuses; end the connections."""
        if self._acceptor:
            self.shutdown()
            self._acceptor.join()
            self._acceptor = None
        self.socket.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let nothing more be applied, and end everything; requests that are under way may take a moment."""
        self.closing.set()
        for gate in list(self.gates.gates):
            gate.let_go()
        self.refuse()
        self._port.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        """Forget a connection."""
        super().close_request(request)
        self._connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report no error of a connection that its client has ended."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


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
        super().__init__(port, Upstream(upstream, files).answer, Gates())

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
        self._change(ActiveFault(fault))

    def clear(self) -> None:
        """End the fault."""
        self._change(None)

    def hold(self, point: Literal["before apply", "after apply"]) -> AbstractContextManager[Gate]:
        """Hold every bulk request that comes to this point until the block ends, or `let_go` of the gate."""
        return self.gates.hold(Point(point))

    def choose(self, request: ProxyRequest) -> ActiveFault:
        """Return the fault that holds, if it strikes this request."""
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
