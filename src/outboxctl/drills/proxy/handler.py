"""One connection of a client: requests read, answers sent."""

import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase

from outboxctl.drills.proxy import body, wire
from outboxctl.drills.proxy.body import BUDGET
from outboxctl.drills.proxy.exchange import Answered, Exchange
from outboxctl.drills.proxy.request import LARGEST, ProxyRequest
from outboxctl.drills.proxy.wire import ProxyReply
from outboxctl.net.browsers import by_another_name, from_a_page


class ExchangeServer(ThreadingHTTPServer):
    """A server whose handlers pass each request to `exchange`; `names` are what a `Host` header may hold."""

    exchange: Exchange
    names: frozenset[str]

    @property
    def limit(self) -> int:
        """Bytes of the largest body that is read; a larger one is reset."""
        return LARGEST


class Handler(BaseHTTPRequestHandler):
    """Passes each request to the exchange of its server, and sends the answer as the fault demands."""

    server: ExchangeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def parse_request(self) -> bool:
        """Read the head of a request; the base class takes one that was cut off for a complete one."""
        stream = self.rfile
        self.rfile = _Unbroken(stream)
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
            self.connection.sendall(_bad_request(str(error)).written())
            self.close_connection = True
        else:
            self._send(self.server.exchange.answer(ProxyRequest(self.command, self.path, headers, content)))

    # The base class dispatches by these names.
    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_OPTIONS = do_PATCH = answer  # noqa: N815

    def _send(self, answered: Answered) -> None:
        reply = replace(answered.reply, body=b"") if self.command == "HEAD" else answered.reply
        fault = answered.fault
        again = wire.send(self.connection, reply, fault.ending, pace=fault.pace, until=answered.until)
        self.close_connection = self.close_connection or not again

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's names
        """Log nothing: requests are counted."""


class _Unbroken(BufferedIOBase):
    """The lines of a stream that must not end yet."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream

    def readline(self, size: int | None = -1, /) -> bytes:
        line = self._stream.readline(size)
        if not line:
            raise ConnectionError("the client left in the middle of its request")
        return line


def _bad_request(reason: str) -> ProxyReply:
    error = {"type": "bad_request", "reason": reason}
    return ProxyReply(400, json.dumps({"error": error, "status": 400}).encode(), {wire.PRODUCT: None})
