"""How many events a claim asks for: about as many as have room in a batch, so that few are left out.

What does not fit is left out by the claim itself, whatever is asked for here
(docs/adr/0021-batches-bounded-by-bytes.md). This only spares PostgreSQL documents that nobody takes.
"""

import threading

KEPT = 0.5  # of what is known, for each batch: one huge document is soon forgotten


class Portion:
    """Shared by the lanes of a worker, whose batches are of at most `most` events and `max_bytes`."""

    def __init__(self, most: int, max_bytes: int) -> None:
        self._most, self._max_bytes = most, max_bytes
        self._lock = threading.Lock()
        self._documents = self._bytes = 0.0  # of late

    @property
    def size(self) -> int:
        """Events to claim; never less than one."""
        with self._lock:
            if self._documents * self._max_bytes >= self._most * self._bytes:
                return self._most
            return max(1, int(self._documents * self._max_bytes / self._bytes))

    def learn(self, documents: int, size: int, *, left_out: bool) -> None:
        """Take the documents of a batch and their bytes. If some were left out, what was known is wrong."""
        with self._lock:
            kept = 0.0 if left_out else KEPT
            self._documents = self._documents * kept + documents
            self._bytes = self._bytes * kept + size
