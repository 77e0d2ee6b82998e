"""How many events a claim asks for: about as many as have room in a batch, so that few are left out.

What does not fit is left out by the claim itself, whatever is asked for here
(docs/adr/0021-batches-bounded-by-bytes.md). This only spares PostgreSQL documents that nobody takes.
A claim that fails, or comes too late, is followed by smaller ones
(docs/adr/0029-claims-that-fail.md).
"""

import threading

KEPT = 0.5  # of what is known, for each batch: one huge document is soon forgotten
SHRINK = 10  # a claim that failed is followed by one of a tenth: each failure can take most of a lease


class BatchSizer:
    """Shared by the lanes of a worker, whose batches are of at most `most` events and `max_bytes`."""

    def __init__(self, most: int, max_bytes: int) -> None:
        self._most, self._max_bytes = most, max_bytes
        self._lock = threading.Lock()
        self._documents = self._bytes = 0.0  # of late
        self._limit = most  # events that a claim could take of late
        self._unread = self._measuring = False

    @property
    def size(self) -> int:
        """Events to claim; never less than one."""
        with self._lock:
            if self._documents * self._max_bytes >= self._limit * self._bytes:
                return self._limit
            return max(1, int(self._documents * self._max_bytes / self._bytes))

    @property
    def measuring(self) -> bool:
        """Whether claims are to measure documents before they make them: one has failed, or came too late."""
        return self._measuring

    def take_unread(self) -> bool:
        """Whether the next claim is to take one event without its document; true once for each failure."""
        with self._lock:
            unread, self._unread = self._unread, False
            return unread

    def failed(self, asked: int, *, by_one: bool) -> None:
        """A claim of `asked` events failed or came too late; `by_one`: the first document alone is why."""
        with self._lock:
            measured, self._measuring = self._measuring, True
            if asked <= 1 or (by_one and measured):
                self._unread = True
            elif not by_one:  # else any of them can be the one: by their lengths only the first can
                self._limit = min(self._limit, max(1, asked // SHRINK))

    def succeeded(self, events: int) -> None:
        """A claim of `events` came in time: where it was as large as it might be, the next one is larger."""
        if events >= self._limit:
            with self._lock:
                self._measuring = self._measuring and self._limit < self._most
                self._limit = min(self._most, 2 * self._limit)

    def learn(self, documents: int, size: int, *, left_out: bool) -> None:
        """Take the documents of a batch and their bytes. If some were left out, what was known is wrong."""
        with self._lock:
            kept = 0.0 if left_out else KEPT
            self._documents = self._documents * kept + documents
            self._bytes = self._bytes * kept + size
