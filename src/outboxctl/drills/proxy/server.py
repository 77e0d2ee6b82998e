"""The HTTP server of the proxy, on 127.0.0.1 alone, and its connections."""

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy import body, wire
from outboxctl.drills.proxy.body import BUDGET
from outboxctl.drills.proxy.exchange import Exchange
from outboxctl.drills.proxy.request import LARGEST, ProxyRequest
from outboxctl.net.browsers import by_another_name, from_a_page

POLL = 0.02  # seconds until a server ceases to listen after shutdown()
MOST = 256  # connections at a time; one more is reset


class Handler(BaseHTTPRequestHandler):
    """Passes each request to the exchange of its server, and sends the answer as the fault demands."""

    server: "ProxyServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def parse_request(self) -> bool:
        """Read the head of a request; the base class takes one that was cut off for a complete one."""
        stream = self.rfile
        self.rfile = body.RequestStream(stream)
        try:
            return super().parse_request()
        finally:
            self.rfile = stream

    def answer(self) -> None:
        """Serve one request, unless a web page sent it: the sink would be sent our credentials for it."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        if why := from_a_page(headers) or by_another_name(headers, self.server.names):
            self.close_connection = True
            wire.refuse(self.connection, why)
            return
        try:
            self._answer(headers)
        finally:
            BUDGET.release()

    def _answer(self, headers: dict[str, str]) -> None:
        try:
            content = body.read(headers, self.rfile, self.server.limit, BUDGET)
        except body.TooLargeError:
            wire.reset(self.connection)
            self.close_connection = True
        except ValueError as error:
            self.connection.sendall(wire.bad_request(str(error)).written())
            self.close_connection = True
        else:
            self._send(ProxyRequest(self.command, self.path, headers, content))

    # The base class dispatches by these names.
    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_OPTIONS = do_PATCH = answer  # noqa: N815

    def _send(self, request: ProxyRequest) -> None:
        reply, active = self.server.exchange.answer(request)
        if request.method == "HEAD":
            reply = replace(reply, body=b"")
        fault = active.fault
        again = wire.send(self.connection, reply, fault.ending, pace=fault.pace, until=active.over)
        self.close_connection = self.close_connection or not again

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's names
        """Log nothing: requests are counted."""


class ProxyServer(ThreadingHTTPServer):
    """Bound to its port from the start; listens after `listen`. Passes each request to `exchange`."""

    request_queue_size = 128

    def __init__(self, port: int, exchange: Exchange) -> None:
        super().__init__(("127.0.0.1", port), Handler, bind_and_activate=False)
        self.exchange = exchange
        self._lock = threading.Lock()
        self._connections: dict[Any, threading.Thread] = {}
        self._acceptor: threading.Thread | None = None
        self.server_bind()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def limit(self) -> int:
        """Bytes of the largest body that is read; a larger one is reset."""
        return LARGEST

    def server_bind(self) -> None:
        """Bind, without the base class's look-up of a host name; UsageError where the port is taken."""
        self._share(True)
        self._claim(self._bind_by_number)
        self._share(False)
        self.server_port = int(self.server_address[1])
        # What a `Host` header may hold.
        self.names = frozenset(f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    def listen(self) -> None:
        """Accept connections from now on; UsageError where another process listens on the port."""
        self._share(True)
        self._claim(self.server_activate)
        self._acceptor = threading.Thread(target=self.serve_forever, args=(POLL,), name="proxy", daemon=True)
        self._acceptor.start()

    def refuse(self) -> None:
        """Accept none any more and end those there are.

        On Linux shutdown() ends the listening and nothing else: the socket keeps its port without a
        moment in between, the kernel refuses connections to it, and listen() opens it again. Elsewhere
        the port is bound anew.
        """
        self._stop_accepting()
        self._share(False)
        if sys.platform == "linux":
            self.socket.shutdown(socket.SHUT_RDWR)
        else:
            self.server_close()
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_bind()
        self._end_connections()

    def close(self) -> None:
        """Let nothing more be applied, and end everything; requests that are under way may take a moment."""
        self.exchange.closing.set()
        self._stop_accepting()
        self.server_close()
        self._end_connections()

    def ended(self, within: float) -> bool:
        """Whether the thread of every connection ends within so many seconds."""
        end = monotonic() + within
        with self._lock:
            threads = list(self._connections.values())
        for thread in threads:
            thread.join(max(0.0, end - monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _bind_by_number(self) -> None:
        """Bind to a port by its number: one of the kernel's choice is given up once nobody listens."""
        with socket.socket(self.address_family, self.socket_type) as chooser:
            chooser.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            chooser.bind(self.server_address)
            self.server_address = chooser.getsockname()
            self.socket.bind(self.server_address)

    def _share(self, shared: bool) -> None:
        """Set whether the kernel may give this port to others while nobody listens on it.

        To bind, and to listen, beside connections that have just ended, it has to be shared.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, shared)

    def _claim(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            self.socket.close()
            why = f"cannot listen on 127.0.0.1:{self.server_address[1]}: {error.strerror or error}"
            raise UsageError(why, hint="choose another port") from None

    def _stop_accepting(self) -> None:
        if self._acceptor:
            self.shutdown()
            self._acceptor.join()
            self._acceptor = None

    def _end_connections(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, if there are not too many."""
        serve, name = self.process_request_thread, "proxy connection"
        thread = threading.Thread(target=serve, args=(request, client_address), name=name, daemon=True)
        with self._lock:
            full = len(self._connections) >= MOST
            if not full:
                self._connections[request] = thread
        if full:
            wire.reset(request)
        else:
            thread.start()

    def close_request(self, request: Any) -> None:
        """Forget a connection."""
        super().close_request(request)
        with self._lock:
            self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report no error of a connection that its client has ended."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)
