"""The HTTP server of `/metrics`, `/healthz` and `/readyz`: connections are limited in number and duration."""

import errno
import io
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client.exposition import ThreadingWSGIServer

from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import UsageError
from outboxctl.metrics.registry import Metrics

MOST = 32  # connections at a time
PAUSE = 0.1  # seconds until the next accept after one failed for want of a descriptor or memory
METHODS = ("GET", "HEAD")
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
PATIENCE = 5.0  # seconds from the accepting of a connection to the end of its answer
OTHERS = "try /metrics, /healthz or /readyz\n"

Probe = Callable[[], dict[str, str]]
LastSuccess = Callable[[], float | None]
Page = tuple[str, list[tuple[str, str]], bytes]  # the status line, headers and body of an answer


class MetricsServer(ThreadingWSGIServer):
    """Serves in a daemon thread. `alive` and `ready` return what fails by name, cached by the caller.

    `last_success` returns the seconds since an event was last completed, None before the first.
    It accepts every connection, and closes the oldest one where there are too many: idle connections cannot
    block a client that sends a request. A request ends `PATIENCE` seconds after its connection was accepted,
    on the wall clock, however fast its bytes come.
    """

    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        metrics: Metrics,
        *,
        alive: Probe,
        ready: Probe,
        last_success: LastSuccess,
    ) -> None:
        self._metrics, self._alive, self._ready, self._last_success = metrics, alive, ready, last_success
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._ends: dict[Any, float] = {}  # by connection, the oldest first
        try:
            self.address_family = family_of(host, port)
            super().__init__((host, port), _Quiet)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {f'[{host}]' if ':' in host else host}:{port}: {error.strerror or error}",
                hint="another worker may run there: set OUTBOX_METRICS_PORT to a free port",
            ) from None
        self.set_app(self._answer)
        self._thread = threading.Thread(target=self.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and free the port."""
        self._stopping.set()
        with suppress(OSError):  # wakes the server at once instead of within half a second
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application; an error of ours costs one answer."""
        method = environ["REQUEST_METHOD"]
        try:
            line, headers, body = self._page(environ) if method in METHODS else _text(405, "")
        except Exception as error:
            self._metrics.unexpected("http", error)
            line, headers, body = _text(500, "")
        # wsgiref names itself and Python's version where there is no `Server`.
        own = [("Server", _Quiet.server_version), ("Content-Length", str(len(body)))]
        start_response(line, [*headers, *own])
        return [body] if method == "GET" else []

    def _page(self, environ: dict[str, Any]) -> Page:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            head: list[Any] = []
            page = self._metrics.page({**environ, "REQUEST_METHOD": "GET"}, lambda *some: head.extend(some))
            return head[0], head[1], b"".join(page)
        if path == "/healthz":
            failing = self._alive()
            return _json(503 if failing else 200, {"healthy": not failing, "failing": failing})
        if path == "/readyz":
            if failing := self._ready():
                return _json(503, {"ready": False, "failing": failing})
            return _json(200, {"ready": True, "last_success_seconds": self._last_success()})
        return _text(404, OTHERS)

    def get_request(self) -> Any:
        """Accept a connection; pause where there is no descriptor for it, instead of trying all the time."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in EXHAUSTED:
                self._stopping.wait(PAUSE)
            raise  # the base class goes on

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        with self._lock:
            self._ends[request] = monotonic() + PATIENCE
        self.service_actions()
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        """Forget a connection."""
        with self._lock:
            self._ends.pop(request, None)
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's names
        """Report an error of ours; the handler suppresses those of clients."""
        if error := sys.exc_info()[1]:
            self._metrics.unexpected("http", error)

    def service_actions(self) -> None:
        """Shut down the oldest connections beyond MOST, and those whose time is over; twice a second.

        Their own threads then read the end and close them: no other thread may, since a closed descriptor's
        number is reused at once.
        """
        with self._lock:
            now, surplus = monotonic(), len(self._ends) - MOST
            for place, (request, end) in enumerate(self._ends.items()):
                if place < surplus or end <= now:
                    with suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)


def _text(status: int, text: str, kind: str = "text/plain") -> Page:
    return f"{status} {HTTPStatus(status).phrase}", [("Content-Type", kind)], text.encode()


def _json(status: int, said: dict[str, Any]) -> Page:
    return _text(status, json.dumps(said) + "\n", "application/json")


class _Quiet(WSGIRequestHandler):
    timeout = PATIENCE
    server_version = "outboxctl"
    sys_version = ""

    def handle(self) -> None:
        # The client has gone, or its request is invalid: neither is logged.
        with suppress(OSError, ValueError):
            super().handle()

    def get_stderr(self) -> io.StringIO:
        return io.StringIO()  # where the base would log that a client reads too slowly

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's names
        pass


def family_of(host: str, port: int) -> socket.AddressFamily:
    """IPv6 where a host has no IPv4 address, as `::1` has none. Raises OSError for an unknown name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    families = {family for family, *_ in found}
    return socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
