"""Somebody on the network: hears what two ends say to each other, and may change it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from tls import HOST

Change = Callable[[bytes], bytes]


@dataclass
class Tap:
    """Passes on what it hears; `there` and `back` may change it on the way to the target and from it."""

    target: tuple[str, int]
    there: Change = bytes
    back: Change = bytes
    heard: bytearray = field(default_factory=bytearray)
    listener: socket.socket = field(default_factory=lambda: socket.create_server((HOST, 0)))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.listener.getsockname()[1])

    @contextmanager
    def open(self) -> Iterator["Tap"]:
        """Serve, each connection in threads of its own."""
        threading.Thread(target=self._accept, daemon=True).start()
        with closing(self.listener):
            yield self
            self.listener.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=[self.listener.accept()[0]], daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with suppress(OSError), closing(near), socket.create_connection(self.target) as far:
            back = threading.Thread(target=self._pump, args=[far, near, self.back], daemon=True)
            back.start()
            self._pump(near, far, self.there)
            back.join(5)

    def _pump(self, source: socket.socket, target: socket.socket, change: Change) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                self.heard += piece
                target.sendall(change(piece))
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
