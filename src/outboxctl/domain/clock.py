"""The clock for leases, deadlines and ages: seconds that go on while the machine is suspended.

`time.monotonic` stops meanwhile on Linux and macOS: a batch that was read before an hour of suspend would
count as a second old, and be sent, although its lease ran out and others have claimed its events.
"""

import sys
import time
from math import inf

# Of a kind that counts suspended time, by platform; Windows has none that Python can read.
CLOCKS = {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}
_CLOCK: int | None = getattr(time, CLOCKS.get(sys.platform, ""), None)
# Seconds that a statement of ours waits for a lock that an application may hold. Below PostgreSQL's
# deadlock_timeout (1 s): in a deadlock with an application's transaction ours is the one that fails.
LOCK_SECONDS = 0.5


def monotonic() -> float:
    """Seconds since an unknown start, for the worker and its deadlines; compare with no other clock."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


class Deadline:
    """When the requests of one delivery must have ended, by `monotonic`.

    Thread-safe without a lock, since each attribute is only replaced: the owner of a lease moves the deadline
    while another thread sends.
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
