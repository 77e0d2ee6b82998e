"""The HTTP server of the proxy, on 127.0.0.1 alone: requests go through a fault to the sink and back."""

import socket
import socketserver
import sys
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy import wire
from outboxctl.drills.proxy.faults import HEALTHY, ActiveFault, ProxyFault
from outboxctl.drills.proxy.passing import Bulk, Gates, Point, ProxyCounts
from outboxctl.drills.proxy.request import Backend, ProxyRequest, apply_without
from outboxctl.drills.proxy.wire import ProxyReply
from outboxctl.net.browsers import by_another_name, from_a_page

POLL = 0.02  # seconds until a server ceases to listen after shutdown()


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
        elif why := from_a_page(headers) or by_another_name(headers, self.server.names):
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
    """Bound to its port from the start; listens after `listen`. `choose` and `gates` are its subclasses'.

    `backend` applies what is passed on. The last `keep` bulk requests are remembered, or all.
    """

    request_queue_size = 128
    limit = sys.maxsize  # bytes of the largest body that is read; a larger one is reset

    def __init__(self, port: int, backend: Backend, keep: int | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler, bind_and_activate=False)
        self.closing = threading.Event()  # once it is set, no request reaches the sink
        self._backend = backend
        self._lock = threading.Lock()
        self._counted: Counter[str] = Counter()
        self._recent: deque[Bulk] = deque(maxlen=keep)
        self._connections: set[Any] = set()
        self._acceptor: threading.Thread | None = None
        self.server_bind()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def counts(self) -> ProxyCounts:
        """The counts at this moment."""
        with self._lock:
            return ProxyCounts(**self._counted)

    @property
    def recent(self) -> list[Bulk]:
        """The bulk requests, the oldest first."""
        with self._lock:
            return list(self._recent)

    def choose(self, request: ProxyRequest, bulk: Bulk | None) -> ActiveFault:
        """The fault that this request meets."""
        raise NotImplementedError

    def gates(self) -> Gates:
        """Where bulk requests are held."""
        raise NotImplementedError

    def answer(self, request: ProxyRequest) -> tuple[ProxyReply, ActiveFault]:
        """The answer, and the fault that says how to send it. ConnectionAbortedError once `closing`."""
        bulk = self._arrived(request)
        active = self.choose(request, bulk)
        fault = active.fault
        self._count(struck=fault is not HEALTHY)
        active.over.wait(fault.before)
        if bulk:
            self.gates().pause(Point.BEFORE_APPLY)
        if self.closing.is_set():
            raise ConnectionAbortedError
        truth = self._apply(request, fault) if fault.apply else ProxyReply()
        if bulk:
            self.gates().pause(Point.AFTER_APPLY)
        active.over.wait(fault.after)
        return fault.changed(truth), active

    def _arrived(self, request: ProxyRequest) -> Bulk | None:
        """Count a request; returns the facts of a bulk request."""
        if not request.is_bulk:
            self._count(requests=1)
            return None
        ids = tuple(action.id for action in request.actions())
        with self._lock:
            bulk = Bulk(self._counted["bulks"], ids, len(request.body), monotonic())
            self._counted.update(requests=1, bulks=1)
            self._recent.append(bulk)
        return bulk

    def _apply(self, request: ProxyRequest, fault: ProxyFault) -> ProxyReply:
        if not (fault.items and request.is_bulk):
            return self._backend(request)
        truth, failed = apply_without(request, fault.items, self._backend)
        self._count(items_failed=failed)
        return truth

    def _count(self, **more: int) -> None:
        with self._lock:
            self._counted.update(more)

    def server_bind(self) -> None:
        """Bind, without the base class's look-up of a host name; UsageError where the port is taken."""
        try:
            socketserver.TCPServer.server_bind(self)
        except OSError as error:
            self.socket.close()
            why = f"cannot listen on 127.0.0.1:{self.server_address[1]}: {error.strerror or error}"
            raise UsageError(why, hint="choose another port") from None
        # Nobody else may have the port while nobody listens on it.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, False)
        self.server_port = int(self.server_address[1])
        # What a `Host` header may hold.
        self.names = frozenset(f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    def listen(self) -> None:
        """Accept connections from now on."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)  # beside those that just ended
        self.server_activate()
        self._acceptor = threading.Thread(target=self.serve_forever, args=(POLL,), name="proxy", daemon=True)
        self._acceptor.start()

    def refuse(self) -> None:
        """Keep the port and accept nothing on it, so that the kernel refuses; end the connections."""
        self._stop_accepting()
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        self._end_connections()

    def close(self) -> None:
        """Let nothing more be applied, and end everything; requests that are under way may take a moment."""
        self.closing.set()
        self._stop_accepting()
        self._end_connections()

    def _stop_accepting(self) -> None:
        if self._acceptor:
            self.shutdown()
            self._acceptor.join()
            self._acceptor = None
        self.socket.close()

    def _end_connections(self) -> None:
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

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
