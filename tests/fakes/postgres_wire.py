"""PostgreSQL's protocol, just enough to see where a message ends and what its statement says."""

import socket
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

ENCRYPTION = {80877103, 80877104}  # SSLRequest, GSSENCRequest
QUERY, PARSE, READY = b"Q", b"P", b"Z"


class Message(NamedTuple):
    """One message as it was on the wire."""

    kind: bytes
    raw: bytes

    @property
    def sql(self) -> str:
        """The statement's text; empty where the message holds none."""
        if self.kind == QUERY:
            return self.raw[5:-1].decode()
        if self.kind == PARSE:
            return self.raw[5:].split(b"\0")[1].decode()  # its name comes first
        return ""


def startup(stream: BinaryIO, client: socket.socket) -> bytes:
    """The client's first message; encryption is declined, so that the rest can be read."""
    while True:
        head = stream.read(8)
        if int.from_bytes(head[4:]) not in ENCRYPTION:
            return head + stream.read(int.from_bytes(head[:4]) - 8) if head else b""
        client.sendall(b"N")


def messages(stream: BinaryIO) -> Iterator[Message]:
    """Every message until the other end closes."""
    while len(head := stream.read(5)) == 5:
        yield Message(head[:1], head + stream.read(int.from_bytes(head[1:]) - 4))
