"""Ports of 127.0.0.1.

A port that is only found free may be taken before its server binds it, by a connection, for one. So a port
is held until its server listens, and fresh ports are not of those that the kernel gives to connections.
"""

import contextlib
import http.client
import json
import random
import socket
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from outboxctl.domain.errors import UsageError

FIRST_PORT = 10_000  # below are the ports of well-known servers
LAST_PORT = 65_535
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")  # what Linux gives to connections
TRIES = 100


class Reserved:
    """A port that is bound and refuses connections; OSError where it is taken. 0: any of the kernel's choice.

    On Linux the kernel gives it to no other socket, and a server that sets SO_REUSEADDR, as servers do, can
    listen on it too. Other systems do not allow that: there the port is released at once. Unless `unused`,
    connections that linger after a restart, and another reservation, do not make it busy.
    """

    def __init__(self, port: int, *, unused: bool = False) -> None:
        self._socket = socket.socket()
        try:
            self._share(not unused)
            self._socket.bind(("127.0.0.1", port))
            self._share(True)
        except OSError:
            self._socket.close()
            raise
        self.port = int(self._socket.getsockname()[1])
        if sys.platform != "linux":
            self.close()

    def close(self) -> None:
        """Give the port up; a server that listens on it keeps it."""
        self._socket.close()

    def _share(self, shared: bool) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, shared)


def reserve_from(wanted: int) -> Reserved:
    """Reserve the port itself if free, else the next one that is."""
    for port in range(wanted, LAST_PORT + 1):
        with contextlib.suppress(OSError):
            return Reserved(port)
    raise UsageError(f"no free port from {wanted} on", hint="choose a lower port")


def reserve() -> Reserved:
    """Reserve any free port that the kernel gives to no connection, so that it can be bound again later."""
    choice = _beside_connections()
    for port in random.sample(choice, min(TRIES, len(choice))):
        with contextlib.suppress(OSError):
            return Reserved(port, unused=True)
    return Reserved(0, unused=True)


def fresh() -> int:
    """Return such a port without holding it."""
    with contextlib.closing(reserve()) as reserved:
        return reserved.port


def _beside_connections() -> range:
    try:
        first, last = map(int, EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        return range(FIRST_PORT, FIRST_PORT)
    below, above = range(FIRST_PORT, first), range(max(FIRST_PORT, last + 1), LAST_PORT + 1)
    return max(below, above, key=len)


def engine_version(port: int) -> str:
    """Read a search engine's version; empty until it answers and every index can be read."""
    healthy = answer(port, "/_cluster/health?wait_for_status=yellow&timeout=1s")
    return str(answer(port, "/").get("version", {}).get("number", "")) if healthy else ""


def answer(port: int, path: str, *, seconds: float = 5.0) -> dict[str, Any]:
    """Return the JSON object of a 200 that comes within so many seconds of silence, else an empty one."""
    status, text = get(f"http://127.0.0.1:{port}{path}", seconds=seconds)
    try:
        body = json.loads(text) if status == http.HTTPStatus.OK else {}
    except ValueError:
        body = {}
    return body if isinstance(body, dict) else {}


def get(url: str, *, seconds: float) -> tuple[int, str]:
    """Status and body of an answer that comes within so many seconds of silence; (0, "") where none does.

    No certificate is verified: no secret is sent, and what is answered is only looked at.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=seconds)
    if parts.scheme == "https":
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.netloc, timeout=seconds, context=trusting)
    with contextlib.closing(connection):
        try:
            connection.request("GET", urlunsplit(("", "", parts.path or "/", parts.query, "")))
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
