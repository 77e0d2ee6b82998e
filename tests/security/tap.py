"""Somebody on the network: reads what two ends send to each other, and may change it."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tls import TcpServer, listening, pump, relay

Change = Callable[[bytes], bytes]


@dataclass
class Tap(TcpServer):
    """Passes on what it reads; `there` and `back` may change it on the way to the target and from it."""

    target: tuple[str, int]
    there: Change = bytes
    back: Change = bytes
    heard: bytearray = field(default_factory=bytearray)
    listener: socket.socket = field(default_factory=listening)

    def handle(self, connection: socket.socket) -> None:
        """Pass both directions on."""
        with socket.create_connection(self.target) as far:
            there, back = (
                partial(pump, change=partial(self._read, change)) for change in (self.there, self.back)
            )
            relay(connection, far, there, back)

    def _read(self, change: Change, piece: bytes) -> bytes:
        self.heard += piece
        return change(piece)
