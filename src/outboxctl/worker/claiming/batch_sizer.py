"""The size of claims: about as many events as have room in a batch, so that few documents are left out.

Documents without room are left out by the claim itself, whatever its size
(docs/adr/0021). The size only spares PostgreSQL documents that are not sent.
A claim that fails, or comes too late, is followed by smaller ones.
"""

import threading

KEPT = 0.5  # weight of earlier batches at each new one: one huge document soon has no effect
SHRINK = 10  # a claim that failed is followed by one of a tenth: each failure can take most of a lease


class BatchSizer:
    """Shared by the lanes of a worker; thread-safe. A batch is of at most `most` events and `max_bytes`."""

    def __init__(self, most: int, max_bytes: int) -> None:
        self._most, self._max_bytes = most, max_bytes
        self._lock = threading.Lock()
        self._documents = self._bytes = 0.0  # of recent batches, weighted
        self._limit = most  # events that recent claims could return in time
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
        """Whether claims measure documents before they build them: one has failed, or came too late."""
        return self._measuring

    def take_unread(self) -> bool:
        """Whether the next claim takes one event without its document; true once for each failure."""
        with self._lock:
            unread, self._unread = self._unread, False
            return unread

    def failed(self, requested: int, *, by_one: bool) -> None:
        """A claim of `requested` events took too long; `by_one`: it failed for one document's length."""
        with self._lock:
            self._measuring = True
            if requested <= 1 and not by_one:
                self._unread = True
            elif not by_one:
                self._limit = min(self._limit, max(1, requested // SHRINK))

    def succeeded(self, events: int) -> None:
        """A claim of `events` came in time: if it was as large as the limit, the next one is larger."""
        if events >= self._limit:
            with self._lock:
                self._measuring = self._measuring and self._limit < self._most
                self._limit = min(self._most, 2 * self._limit)

    def learn(self, documents: int, size: int, *, left_out: bool) -> None:
        """Take the number of documents of a batch and its bytes; `left_out`: forget earlier batches."""
        with self._lock:
            kept = 0.0 if left_out else KEPT
            self._documents = self._documents * kept + documents
            self._bytes = self._bytes * kept + size
