"""Ports of 127.0.0.1."""

import contextlib
import http.client
import json
import socket
from typing import Any

from outboxctl.errors import UsageError

LAST_PORT = 65535


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # As servers do: connections that linger after a restart do not make a port busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def next_free(wanted: int) -> int:
    """Return the port itself if free, else the next one that is."""
    for port in range(wanted, LAST_PORT + 1):
        if is_free(port):
            return port
    raise UsageError(f"no free port from {wanted} on", hint="choose a lower port")


def fresh() -> int:
    """Return a free port of the kernel's choice."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def engine_version(port: int) -> str:
    """Read a search engine's version; empty until it answers and every index can be read."""
    healthy = _get(port, "/_cluster/health?wait_for_status=yellow&timeout=1s")
    return str(_get(port, "/").get("version", {}).get("number", "")) if healthy else ""


def _get(port: int, path: str) -> dict[str, Any]:
    """Return the JSON object of a 200, else an empty one."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            found = json.load(response) if response.status == http.HTTPStatus.OK else {}
        except (OSError, http.client.HTTPException, ValueError):
            found = {}
    return found if isinstance(found, dict) else {}
