"""A claim in hand: how long it holds its events, and how long its documents may be sent."""

from collections.abc import Mapping
from typing import NamedTuple

from outboxctl.core.delivery.claim import Claimed, Traces
from outboxctl.domain.clock import Deadline, monotonic
from outboxctl.domain.failures import Classification
from outboxctl.settings import DELIVERY_SHARE

RENEW_BELOW = 0.75  # of a lease: a request that starts with less would have too little time


class Lease:
    """The lease of one claim of `size` events, on this process's clock.

    `requested_at` is when the claim was sent to the database, so no later than its documents were read.
    `deadline` is that of requests to the sink. No request starts once the documents were read longer ago
    than a lease: they may be old by then, and the batch is released instead.

    Thread-safe without a lock: its lane sets `delivering`, the renewal alone moves `ends`, and each
    attribute is replaced as a whole.
    """

    def __init__(self, token: str, seconds: float, size: int, *, requested_at: float) -> None:
        self.token, self.size, self.requested_at = token, size, requested_at
        self._seconds = seconds
        self.ends = requested_at + seconds
        self.deadline = Deadline(self._delivery_end, latest_start=self.ends)
        self.delivering = False  # whether requests to the sink are under way

    @property
    def ended(self) -> bool:
        """Whether the lease is over: another worker may have claimed the events."""
        return monotonic() > self.ends

    @property
    def renewal_due(self) -> bool:
        """Whether a delivery is under way that needs more time than is left for its next request."""
        return self.delivering and monotonic() > self.ends - self._seconds * RENEW_BELOW

    def renewed(self, requested_at: float) -> None:
        """The database renewed the lease, at the earliest at `requested_at`."""
        self.ends = requested_at + self._seconds
        self.deadline.move(self._delivery_end)

    def lost(self) -> None:
        """The database did not renew it: the events are another worker's, or have taken too long."""
        self.ends = 0.0
        self.deadline.move(self._delivery_end)

    @property
    def _delivery_end(self) -> float:
        return self.ends - self._seconds * (1 - DELIVERY_SHARE)


class Batch(NamedTuple):
    """A claim with its events.

    `exclusive`: reclaimed events. Nothing else may be in flight in this process, for one of them may end it.
    `traces` are those of the events, where tracing is on. `refusals`: by id, what becomes of documents of
    search_index that cannot be read.
    """

    lease: Lease
    events: list[Claimed]
    exclusive: bool
    traces: Traces = ()
    refusals: Mapping[str, Classification] = {}
