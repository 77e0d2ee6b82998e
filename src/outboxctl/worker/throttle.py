"""How many events may be in flight: fewer while the sink is overloaded, more again as it recovers.

Additive increase, multiplicative decrease, as in TCP: many workers reach their shares of the sink without
communication.
"""

import threading
from collections.abc import Sequence

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import DONE, Classification, Reason, Verdict

STEPS = 20  # successful windows from nothing back to the full size


class Throttle:
    """Shared by the lanes of one worker; thread-safe. `most`: events in flight without an overload."""

    def __init__(self, most: int) -> None:
        self._most, self._step = most, most / STEPS
        self._lock = threading.Lock()
        self._limit = float(most)
        self._cut_at = self._pause_ends = 0.0

    @property
    def limit(self) -> int:
        """Events that may be in flight now; never less than one."""
        return max(1, int(self._limit))

    def resize(self, most: int) -> None:
        """Batches have become larger or smaller: the limit changes in proportion."""
        with self._lock:
            self._limit *= most / self._most
            self._most, self._step = most, most / STEPS

    def admit(self, size: int, in_flight: int) -> int:
        """How many of `size` events may be claimed now."""
        if monotonic() < self._pause_ends:
            return 0
        return max(0, min(size, self.limit - in_flight))

    def learn(
        self, findings: Sequence[Classification | None], *, sent_at: float, longest_pause: float
    ) -> None:
        """Adapt to the findings of a delivery begun at `sent_at` (monotonic); pauses are in seconds.

        One rejected item in a thousand is only a retry; where half of them are rejected, or the time was too
        short to send all of a batch, the sink is overloaded.
        """
        others = [f for f in findings if f is not DONE]  # mostly none: the loops below are over few
        limited = [f for f in others if f and f.reason is Reason.RATE_LIMITED]
        unsent = None in others and any(findings)
        if unsent or (limited and 2 * len(limited) >= len(findings)):
            pause = limited[0].retry_after if limited else 0.0
            self._overloaded(sent_at, min(pause, longest_pause))
        else:
            done = sum(f is not None and f.verdict is Verdict.DONE for f in others)
            self._accepted(len(findings) - len(others) + done)

    def start_small(self, size: int) -> None:
        """After an outage begin with `size` events: many workers must not send full batches at once."""
        with self._lock:
            self._limit = min(self._limit, size)

    def _overloaded(self, sent_at: float, pause: float) -> None:
        with self._lock:
            now = monotonic()
            self._pause_ends = max(self._pause_ends, now + pause)
            if sent_at >= self._cut_at:  # one sent before the last cut does not test the new limit
                self._limit, self._cut_at = max(1.0, self._limit / 2), now

    def _accepted(self, count: int) -> None:
        with self._lock:  # one step for each whole window
            self._limit = min(self._most, self._limit + self._step * min(1.0, count / self._limit))
