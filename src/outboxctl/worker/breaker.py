"""The breaker of the circuit to the sink: opens on an outage, probes with growing pauses, then closes.

Under the policy `hold` a probe is one event. Under `count` it is a whole batch, whose attempts count, and
the circuit opens only for a sink that does not answer at all.
"""

import threading
from random import Random

from outboxctl.domain import backoff
from outboxctl.domain.clock import monotonic

LONGEST_STEP = 5.0  # seconds between two probes at the most, so that recovery is soon noticed


class Breaker:
    """Shared by the lanes of one worker; thread-safe. While it is open, one lane at a time probes."""

    def __init__(
        self, *, base: float, cap: float, rng: Random | None = None, whole_batches: bool = False
    ) -> None:
        self._base, self._cap = base, min(cap, LONGEST_STEP)
        self._rng = rng or Random()  # noqa: S311 - jitter, not a secret
        self._whole_batches = whole_batches
        self._lock = threading.Lock()
        self._failures = 0
        self._unanswered = 0  # deliveries in a row
        self._next_probe = 0.0
        self._prober: int | None = None  # the thread that probes

    @property
    def is_open(self) -> bool:
        """Whether the last deliveries were an outage."""
        return self._failures > 0

    @property
    def probing(self) -> bool:
        """Whether this thread is the probe."""
        return self._prober == threading.get_ident()

    def admit(self, size: int) -> int:
        """How many events may be claimed now: `size`, those of a probe, which this thread becomes, or 0."""
        with self._lock:
            if not self._failures:
                return size
            if self._prober is not None or monotonic() < self._next_probe:
                return 0
            self._prober = threading.get_ident()
            return size if self._whole_batches else 1

    def end_probe(self) -> None:
        """End the probe of this thread, if it has one, without an answer of the sink."""
        with self._lock:
            if self.probing:
                self._prober = None

    def failed(self) -> None:
        """An outage: open, or stay open for longer."""
        with self._lock:
            self._failures += 1
            if self.probing:  # another lane's probe may be in progress
                self._prober = None
            wait = backoff.delay(self._failures, base=self._base, cap=self._cap, rng=self._rng)
            self._next_probe = monotonic() + wait

    def unanswered(self, *, certain: bool) -> None:
        """A delivery got no answer: an outage if that is `certain`, or if the one before got none either."""
        with self._lock:
            self._unanswered += 1
            certain = certain or self._unanswered > 1
        if certain:
            self.failed()

    def close(self) -> None:
        """The sink answered, or there is nothing to send."""
        with self._lock:
            self._failures, self._prober = 0, None
            self._unanswered = 0
