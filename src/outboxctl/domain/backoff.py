"""How long to wait before the next attempt: exponential, jittered, capped."""

from dataclasses import dataclass
from random import Random

MAX_EXPONENT = 60  # 2**60 is beyond any cap; a larger one would overflow a float


def delay(attempts: int, *, base: float, cap: float, rng: Random | None = None) -> float:
    """Seconds to wait after `attempts` (from 1): with `rng` half to all of the step ("equal jitter").

    Many workers that failed at one time do not try again at one time then.
    """
    step = min(cap, base * 2.0 ** min(max(attempts, 1) - 1, MAX_EXPONENT))
    return step / 2 + rng.random() * step / 2 if rng else step


def survives(max_attempts: int, *, base: float, cap: float) -> float:
    """The shortest outage in seconds after which an event can fail, where requests take no time."""
    steps = (
        min(cap, base * 2.0 ** min(attempt, MAX_EXPONENT)) for attempt in range(min(max_attempts - 1, 64))
    )
    beyond = max(0, max_attempts - 1 - 64)
    return (sum(steps) + beyond * cap) / 2


@dataclass
class Pauses:
    """When to try again: after pauses that double with each failure in a row.

    Times are those of the caller's clock. `rng`: jitter, as in `delay`. Not thread-safe.
    """

    first: float  # seconds
    longest: float  # seconds
    rng: Random | None = None
    failures: int = 0  # in a row
    until: float = 0.0  # nothing is tried before

    def due(self, now: float) -> bool:
        """Whether to try now."""
        return now >= self.until

    def failed(self, now: float) -> None:
        """A try failed: wait before the next one."""
        self.failures += 1
        self.until = now + delay(self.failures, base=self.first, cap=self.longest, rng=self.rng)

    def ended(self, until: float = 0.0) -> None:
        """The failures in a row are over; the next try is due at `until`."""
        self.failures, self.until = 0, until
