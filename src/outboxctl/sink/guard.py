"""A wall clock over requests: the client's timeout bounds each read, not the whole answer.

A server that drips a byte at a time keeps every read within its timeout, and a request open for
longer than the lease. The guard shuts such a request's socket; the read under way then ends.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

LINGER = 5.0  # seconds that the guard's thread waits for another request before it ends
AGAIN = 0.1  # seconds until a request that was still connecting is shut again


class Watch:
    """One request under watch: its deadline (monotonic), its socket, and whether it ran over."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.connection: Any = None
        self.socket: Any = None  # its own reference: a connection forgets it where the answer has no length
        self.expired = False

    def expire(self) -> None:
        """Shut the socket from outside: the thread that reads from it sees the end of the stream."""
        self.expired = True
        self.deadline += AGAIN
        with suppress(AttributeError, TypeError, OSError):  # not connected yet, or closed by now
            # Not the socket's own method: that of a TLS socket takes the session from its reader.
            socket.socket.shutdown(self.socket or self.connection.sock, socket.SHUT_RDWR)


class Guard:
    """Watches requests from a thread of its own, which ends when there has been none for a while."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set[Watch] = set()
        self._wakes_at: float | None = None  # None: no thread runs

    @contextmanager
    def over(self, seconds: float) -> Iterator[Watch]:
        """Watch what is done in the block for at most `seconds`."""
        watch = Watch(monotonic() + seconds)
        with self._changed:
            self._watched.add(watch)
            self._look_at(watch.deadline)
        try:
            yield watch
        finally:
            with self._changed:
                self._watched.discard(watch)

    def _look_at(self, moment: float) -> None:
        """Have the thread look no later than `moment`; mostly it does already: deadlines only grow."""
        if self._wakes_at is None:
            threading.Thread(target=self._run, name="guard", daemon=True).start()
        elif moment < self._wakes_at:
            self._changed.notify()
        self._wakes_at = min(moment, self._wakes_at or moment)

    def _run(self) -> None:
        with self._changed:
            while True:
                self._expire_overdue()
                quiet = not self._watched
                self._wakes_at = min((w.deadline for w in self._watched), default=monotonic() + LINGER)
                woken = self._changed.wait(self._wakes_at - monotonic())
                if quiet and not woken and not self._watched:
                    self._wakes_at = None
                    return

    def _expire_overdue(self) -> None:
        now = monotonic()
        for watch in self._watched:
            if watch.deadline <= now:
                watch.expire()
