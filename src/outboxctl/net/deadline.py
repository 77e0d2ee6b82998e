"""A wall clock over whatever waits for a server: clients bound a single read at best.

A sink that sends a byte at a time keeps every read within its timeout and a request open for longer
than the lease; a database behind a dead link never answers. The guard shuts the socket, and the read in
progress ends.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from outboxctl.domain.clock import monotonic

LINGER = 5.0  # seconds that the guard's thread waits for another request before it ends
LOOK = 1.0  # seconds of waiting after which deadlines are looked at: waits do not end by a suspended machine
AGAIN = 0.1  # seconds until a request that was still connecting is shut again


class Watch:
    """What is watched: its deadline (`clock.monotonic`), its socket's descriptor, whether it ran over."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.descriptor: Callable[[], int] | None = None
        self.expired = False

    def expire(self) -> None:
        """Shut the socket from outside: the thread that reads from it sees the end of the stream."""
        self.expired = True
        self.deadline += AGAIN
        if self.descriptor:
            with suppress(Exception):  # each client says in its own way: not connected yet, or closed by now
                shut(self.descriptor())


def shut(descriptor: int) -> None:
    """Shut a socket that another thread may wait for: its read or write ends. OSError if it is closed."""
    # A socket object of its own: that of a TLS session would take the session from its reader.
    with socket.socket(fileno=os.dup(descriptor)) as own:
        own.shutdown(socket.SHUT_RDWR)


class Guard:
    """Watches from a thread of its own, which ends when there has been none for a while."""

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
                longest = monotonic() + (LINGER if quiet else LOOK)
                self._wakes_at = min([longest, *(w.deadline for w in self._watched)])
                woken = self._changed.wait(self._wakes_at - monotonic())
                if quiet and not woken and not self._watched:
                    self._wakes_at = None
                    return

    def _expire_overdue(self) -> None:
        now = monotonic()
        for watch in self._watched:
            if watch.deadline <= now:
                watch.expire()


GUARD = Guard()  # one thread for the whole process
