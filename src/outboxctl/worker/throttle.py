"""How many events may be in flight: fewer while the sink is overloaded, more again as it copes.

Additive increase, multiplicative decrease, as TCP does it: many workers find their shares without
knowing of each other.
"""

import threading
from collections.abc import Sequence

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import DONE, Classification, Reason, Verdict

STEPS = 20  # successful windows from nothing back to the full size


class Throttle:
    """Shared by the lanes of one worker; `most` is the number of events in flight of a healthy sink."""

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
        """Batches have become larger or smaller; the share of them that the sink copes with is the same."""
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
        """Take what became of a delivery begun at `sent_at` (monotonic); pauses are in seconds.

        One rejected item in a thousand is a retry; half of them are a sink that is overloaded. So is one
        that is too slow for all of a batch to be sent.
        """
        odd = [f for f in findings if f is not DONE]  # mostly none: a thousand are not looked at thrice
        limited = [f for f in odd if f and f.reason is Reason.RATE_LIMITED]
        unsent = None in odd and any(findings)
        if unsent or (limited and 2 * len(limited) >= len(findings)):
            pause = limited[0].retry_after if limited else 0.0
            self._overloaded(sent_at, min(pause, longest_pause))
        else:
            done = sum(f is not None and f.verdict is Verdict.DONE for f in odd)
            self._coped(len(findings) - len(odd) + done)

    def start_small(self, size: int) -> None:
        """After an outage begin with `size` events: many workers must not fall upon the sink at once."""
        with self._lock:
            self._limit = min(self._limit, size)

    def _overloaded(self, sent_at: float, pause: float) -> None:
        with self._lock:
            now = monotonic()
            self._pause_ends = max(self._pause_ends, now + pause)
            if sent_at >= self._cut_at:  # what was sent before the last cut says nothing about the new limit
                self._limit, self._cut_at = max(1.0, self._limit / 2), now

    def _coped(self, count: int) -> None:
        with self._lock:  # one step for each whole window
            self._limit = min(self._most, self._limit + self._step * min(1.0, count / self._limit))
