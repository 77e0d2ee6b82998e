"""Outcomes of events that another session has locked: tried again for the time of a lease, then dropped."""

import threading
from typing import Protocol

import structlog

from outboxctl.domain.clock import monotonic

log = structlog.get_logger()


class Pending(Protocol):
    """Outcomes that are not written yet."""

    @property
    def waiting(self) -> int:
        """How many events."""

    def again(self) -> None:
        """Write those that can be written now."""

    def leave_to_lease(self) -> None:
        """Count the rest as lost."""


class Postponed:
    """Outcomes that lanes leave to maintenance; thread-safe.

    An event that is still locked after that time comes back by reclaim, which costs an attempt.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()  # maintenance and the release at the stop both call `turn`
        self._pending: dict[Pending, float] = {}

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return sum(each.waiting for each in list(self._pending))

    def add(self, pending: Pending) -> None:
        """Try these again from now on, for as long as a lease."""
        self._pending[pending] = monotonic() + self._seconds

    def turn(self) -> None:
        """Try each once."""
        with self._lock:
            for pending, ends in list(self._pending.items()):
                pending.again()
                if pending.waiting and monotonic() < ends:
                    continue
                del self._pending[pending]
                if pending.waiting:
                    log.warning("locked events are left to their lease", events=pending.waiting)
                    pending.leave_to_lease()
