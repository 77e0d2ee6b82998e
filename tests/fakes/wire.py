"""How an answer leaves: whole, cut, dripped, or not at all."""

import os
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

JSON = "application/json"
PRODUCT = "X-Elastic-Product"


class Ending(StrEnum):
    """What becomes of the connection. TRUNCATE promises more bytes than it sends."""

    ANSWER = "answer"
    DROP = "drop"
    RESET = "reset"
    TRUNCATE = "truncate"
    DRIP = "drip"


@dataclass(frozen=True)
class Reply:
    """An answer; a header whose value is None is left out."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)

    def written(self, *, missing: int = 0) -> bytes:
        """Its bytes; `missing` are promised in Content-Length and not there."""
        standard = {PRODUCT: "Elasticsearch", "Content-Type": JSON}
        headers = {name.lower(): value for name, value in [*standard.items(), *self.headers.items()]}
        headers["content-length"] = str(len(self.body) + missing)
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
        return f"HTTP/1.1 {self.status} Fake\r\n{''.join(lines)}\r\n".encode() + self.body


def send(
    connection: socket.socket, reply: Reply, ending: Ending, *, pace: float, until: threading.Event
) -> bool:
    """Send an answer as `ending` says; True if the connection may be used again.

    A drip sends a byte every `pace` seconds, or all the rest once `until` is set.
    """
    if ending is Ending.RESET:
        reset(connection)
    elif ending is Ending.TRUNCATE:
        connection.sendall(reply.written(missing=10))
    elif ending is Ending.DRIP:
        for byte in reply.written():
            connection.sendall(bytes([byte]))
            until.wait(pace)
    elif ending is Ending.ANSWER:
        connection.sendall(reply.written())
    return ending in {Ending.ANSWER, Ending.DRIP}


def reset(connection: socket.socket) -> None:
    """End a connection with an RST: its peer sees "connection reset", not an end of the stream."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())  # a close() would wait for the handler's files on this socket
