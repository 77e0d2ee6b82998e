"""A pool of sessions: none is opened before it is needed, and none that is in doubt is used again."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from outboxctl.core.sql.connection import Connection

LONGEST = 30.0  # seconds of waiting for one that others use


class ExhaustedError(Exception):
    """All connections of the pool were in use for so long."""

    def __init__(self, size: int) -> None:
        super().__init__(f"all {size} connections of this process were in use for {LONGEST:g} s")


class ConnectionPool:
    """At most `size` connections, made by `connect`. Thread-safe."""

    def __init__(self, connect: Callable[[], Connection], size: int) -> None:
        self._connect, self._size = connect, size
        self._lock = threading.Lock()
        self._free = deque[Connection]()
        # One a connection; after `dispose` another object: what was lent before is in excess of `size`.
        self._slots = threading.BoundedSemaphore(size)

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        """A connection for the block. Raises ExhaustedError where none becomes free in time."""
        slots = self._slots
        if not slots.acquire(timeout=LONGEST):
            raise ExhaustedError(self._size)
        try:
            connection = self._taken(slots) or self._connect()
            try:
                yield connection
            finally:
                self._take_back(connection, slots)
        finally:
            slots.release()

    def dispose(self) -> None:
        """Close all connections; those in use at the end of their block."""
        with self._lock:
            free, self._free = self._free, deque()
            self._slots = threading.BoundedSemaphore(self._size)
        for connection in free:
            connection.close()

    def _taken(self, slots: threading.BoundedSemaphore) -> Connection | None:
        with self._lock:
            return self._free.popleft() if self._free and slots is self._slots else None

    def _take_back(self, connection: Connection, slots: threading.BoundedSemaphore) -> None:
        if connection.closed:
            if slots is self._slots:
                self.dispose()  # what broke this connection has broken the others, too
            return
        with self._lock:
            if usable := slots is self._slots and connection.idle:
                self._free.append(connection)
        if not usable:
            connection.close()
