"""The connections of the probes' server: limited in number and duration, whatever the clients do."""

import errno
import socket
import sys
import threading
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import Any

from outboxctl.domain.clock import monotonic
from outboxctl.metrics import unexpected
from outboxctl.metrics.registry import Metrics

MOST = 32  # connections at a time
PAUSE = 0.1  # seconds until the next accept after one failed for want of a descriptor or memory
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
PATIENCE = 5.0  # seconds from the accepting of a connection to the end of its answer


class Connections(ThreadingHTTPServer):
    """Accepts every connection, and closes the oldest one where there are too many.

    So idle connections cannot block a client that sends a request. A request ends `PATIENCE` seconds after
    its connection was accepted, on the wall clock, however fast its bytes come.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Any, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._ends: dict[Any, float] = {}  # by connection, the oldest first
        self.address_family = family_of(*address)
        super().__init__(address, handler)

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
        self._end()
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Close connections whose time is over; called twice a second and after each connection."""
        self._end()

    def close_request(self, request: Any) -> None:
        """Forget a connection."""
        with self._lock:
            self._ends.pop(request, None)
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's names
        """Report an error of ours; the handler suppresses those of clients."""
        if error := sys.exc_info()[1]:
            unexpected.report(self._metrics, "http", error)

    def stop(self) -> None:
        """Stop accepting, from another thread, and free the port."""
        self._stopping.set()
        with suppress(OSError):  # wakes the server at once instead of within half a second
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self.server_close()

    def _end(self) -> None:
        """Shut down the oldest connections beyond MOST, and those whose time is over.

        Their own threads then read the end and close them: no other thread may, since a closed descriptor's
        number is reused at once.
        """
        with self._lock:
            now, surplus = monotonic(), len(self._ends) - MOST
            for place, (request, end) in enumerate(self._ends.items()):
                if place < surplus or end <= now:
                    with suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)


def family_of(host: str, port: int) -> socket.AddressFamily:
    """IPv6 where a host has no IPv4 address, as `::1` has none. Raises OSError for an unknown name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    families = {family for family, *_ in found}
    return socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
