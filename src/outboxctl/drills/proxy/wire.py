"""An answer, and how it is sent: complete, cut, byte by byte, or not at all."""

import os
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import responses

JSON = "application/json"
PRODUCT = "X-Elastic-Product"
POLL = 0.1  # seconds between two checks that a client without an answer is still connected


class Ending(StrEnum):
    """What becomes of the connection. TRUNCATE promises more bytes than it sends."""

    ANSWER = "answer"
    DROP = "drop"
    RESET = "reset"
    TRUNCATE = "truncate"
    DRIP = "drip"
    SILENCE = "silence"


@dataclass(frozen=True)
class ProxyReply:
    """An answer; a header whose value is None is left out. By default it looks like Elasticsearch's."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)

    def written(self, *, missing: int = 0) -> bytes:
        """Its bytes; `missing` are promised in Content-Length and not there."""
        standard = {PRODUCT: "Elasticsearch", "Content-Type": JSON}
        headers = {name.lower(): value for name, value in [*standard.items(), *self.headers.items()]}
        headers["content-length"] = str(len(self.body) + missing)
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
        head = f"HTTP/1.1 {self.status} {responses.get(self.status, '')}\r\n{''.join(lines)}\r\n"
        return head.encode("latin-1", "replace") + self.body


def send(
    connection: socket.socket, reply: ProxyReply, ending: Ending, *, pace: float, until: threading.Event
) -> bool:
    """Send an answer as `ending` says; True if the connection may be used again.

    A drip sends a byte every `pace` seconds, or all the rest once `until` is set; a silence lasts until
    then, or until the client leaves.
    """
    match ending:
        case Ending.RESET:
            reset(connection)
        case Ending.TRUNCATE:
            connection.sendall(reply.written(missing=10))
        case Ending.DRIP:
            _drip(connection, reply.written(), pace, until)
        case Ending.SILENCE:
            while not until.wait(POLL) and not _left(connection):
                pass
        case Ending.ANSWER:
            connection.sendall(reply.written())
    return ending in {Ending.ANSWER, Ending.DRIP}


def reset(connection: socket.socket) -> None:
    """End a connection with an RST: its peer sees "connection reset", not an end of the stream."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())  # a close() would wait for the handler's files on this socket


def _drip(connection: socket.socket, answer: bytes, pace: float, until: threading.Event) -> None:
    for place in range(len(answer)):
        connection.sendall(answer[place : place + 1])
        if until.wait(pace):
            connection.sendall(answer[place + 1 :])
            break


def _left(connection: socket.socket) -> bool:
    """Whether the client has ended the connection."""
    with suppress(BlockingIOError):
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return False
