"""The memory for bodies, of all requests and answers under way in this process together."""

import threading

from outboxctl.drills.proxy.body import TooLargeError


class Room:
    """So many bytes at a time; each thread gives its own back when its request is answered."""

    def __init__(self, size: int) -> None:
        self._free, self._lock, self._mine = size, threading.Lock(), threading.local()

    def take(self, size: int) -> None:
        """Hold so many bytes more until `leave`. TooLargeError where there is no room for them."""
        with self._lock:
            if size > self._free:
                raise TooLargeError
            self._free -= size
        self._mine.held = self._held + size

    def leave(self) -> None:
        """Give back what this thread holds."""
        with self._lock:
            self._free += self._held
        self._mine.held = 0

    @property
    def _held(self) -> int:
        return getattr(self._mine, "held", 0)


ROOM = Room(512 * 2**20)
