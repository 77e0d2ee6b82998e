"""The deadline of a delivery: how long its requests may take, which the owner of the lease moves."""

from math import inf

from outboxctl.domain.clock import monotonic


class Deadline:
    """When the requests of one delivery must have ended, on `clock.monotonic`.

    Thread-safe: the owner of a lease moves it while another thread sends. Each attribute is replaced as a
    whole, so no lock is needed.
    """

    def __init__(self, ends: float, *, latest_start: float = inf) -> None:
        self._ends, self._latest_start = ends, latest_start

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        """The deadline in `seconds` from now."""
        return cls(monotonic() + seconds)

    def seconds_left(self) -> float:
        """Seconds that a request which starts now may take; none may start where it is 0 or less."""
        now = monotonic()
        return 0.0 if now > self._latest_start else self._ends - now

    def move(self, ends: float) -> None:
        """Requests that start from now on may take until `ends`; an expired deadline stays expired."""
        self._ends = ends

    def expire(self) -> None:
        """No request may start from now on."""
        self._latest_start = -inf
