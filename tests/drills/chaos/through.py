"""What a plain HTTP client and a plain socket see through a proxy."""

import http.client
import socket
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from outboxctl.drills.proxy import Proxy
from outboxctl.sink.delivery.bulk import BulkAction, body

PLAIN = {"Content-Type": "application/json"}


class Seen(NamedTuple):
    """An answer; the headers' names in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]


def ask(
    proxy: Proxy,
    target: str = "/",
    content: bytes | None = None,
    method: str | None = None,
    headers: dict[str, str] = PLAIN,
    *,
    patience: float = 10,
) -> Seen:
    """Ask once, on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=patience)
    try:
        connection.request(method or ("PUT" if content else "GET"), target, content, headers)
        reply = connection.getresponse()
        return Seen(reply.status, reply.read(), {name.lower(): value for name, value in reply.getheaders()})
    finally:
        connection.close()


def bulk(*ids: str) -> bytes:
    """The body of a bulk request that writes these documents."""
    return body([BulkAction(id_, 1, "{}") for id_ in ids])


def write(proxy: Proxy, index: str, *ids: str, patience: float = 10) -> Seen:
    """Write documents in one bulk request."""
    return ask(proxy, f"/{index}/_bulk", bulk(*ids), patience=patience)


def raw(proxy: Proxy, sent: bytes, *, patience: float = 5) -> bytes:
    """All that comes back on a connection after these bytes, until it ends; nothing more is sent."""
    with connected(proxy) as connection:
        connection.settimeout(patience)
        connection.sendall(sent)
        with suppress(OSError):  # it may have been reset by now
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def connected(proxy: Proxy) -> socket.socket:
    """A connection."""
    return socket.create_connection(("127.0.0.1", urlsplit(proxy.url).port or 0), timeout=10)
