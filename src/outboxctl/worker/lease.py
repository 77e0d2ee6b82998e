"""A claim in hand: how long its events are ours, and how long its reading may be sent."""

from outboxctl.domain.clock import monotonic
from outboxctl.settings import DELIVERY_SHARE

RENEW_BELOW = 0.75  # of a lease: a request that starts later would have too little time


class Lease:
    """The lease of one claim of `size` events, on this process's clock.

    `asked_at` is when the claim was asked for, so at the latest when the documents were read.
    """

    def __init__(self, token: str, seconds: float, size: int, *, asked_at: float) -> None:
        self.token, self.size, self.asked_at = token, size, asked_at
        self._seconds, self._read_at = seconds, asked_at
        self.ends = asked_at + seconds

    def left(self) -> float:
        """Seconds that a request which starts now may take; none once the reading is older than a lease.

        What was read long ago may be old by now: such a batch is given back, not sent.
        """
        now = monotonic()
        if now > self._read_at + self._seconds:
            return 0.0
        return self.ends - self._seconds * (1 - DELIVERY_SHARE) - now

    @property
    def ended(self) -> bool:
        """Whether the time of the last lease is over: the events may be somebody else's."""
        return monotonic() > self.ends

    def due(self) -> bool:
        """Whether it is time to renew it."""
        return monotonic() > self.ends - self._seconds * RENEW_BELOW

    def renewed(self, asked_at: float) -> None:
        """The database gave it another whole lease, at the earliest from `asked_at` on."""
        self.ends = asked_at + self._seconds

    def over(self) -> None:
        """The database would not renew it: the events are somebody else's, or have taken too long."""
        self.ends = 0.0
