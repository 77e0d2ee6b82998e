"""The real sink: requests are passed on to it, each on a connection of its own."""

import json
import socket
from base64 import b64encode
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from outboxctl.domain.printable import brief
from outboxctl.drills.proxy.request import ProxyRequest
from outboxctl.drills.proxy.wire import PRODUCT, ProxyReply
from outboxctl.net.certificates import SINK, Files
from outboxctl.net.urls import credentials, parse_url, without_credentials

# Headers of one connection, which are not passed on (RFC 9110, 7.6.1), and those that http.client sets.
PER_HOP = {
    *("host", "content-length", "connection", "keep-alive", "transfer-encoding", "accept-encoding"),
    *("te", "trailer", "upgrade", "proxy-connection"),
}
PLAIN = Files(SINK)  # no files of our own
PATIENCE = 60.0  # seconds without a byte from it
BARE = {PRODUCT.lower(): None, "content-type": None}  # the sink's own replace them, or there are none


class Upstream:
    """Credentials inside its URL are added to requests that bring none. `files`: PEM files for https.

    Raises UsageError where these cannot be read.
    """

    def __init__(self, url: str, files: Files = PLAIN) -> None:
        parts = parse_url(without_credentials(url))
        self._netloc, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._tls = files.context() if parts.scheme == "https" else None
        inside = credentials(url)
        self._login = f"Basic {b64encode(':'.join(inside).encode()).decode()}" if inside else None
        self._open: set[HTTPConnection] = set()

    def answer(self, request: ProxyRequest) -> ProxyReply:
        """Pass a request on; a 502 with the reason where no answer comes."""
        connection = self._connection()
        self._open.add(connection)
        try:
            return self._ask(connection, request)
        except (OSError, HTTPException, ValueError) as error:
            why = brief(f"{type(error).__name__}: {error}", 200)
            reason = f"the fault proxy got no answer from the sink: {why}"
            body = {"error": {"type": "proxy_upstream_exception", "reason": reason}, "status": 502}
            return ProxyReply(502, json.dumps(body).encode(), {PRODUCT: None})
        finally:
            self._open.discard(connection)
            connection.close()

    def cut(self) -> None:
        """End every request that is under way there."""
        for connection in list(self._open):
            with suppress(OSError, AttributeError):  # it may end, or begin, at this very moment
                connection.sock.shutdown(socket.SHUT_RDWR)

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
