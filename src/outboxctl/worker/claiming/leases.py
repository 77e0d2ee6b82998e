"""What this worker holds: leases and batches in hand, claims without an answer, outcomes of locked rows."""

import threading
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from outboxctl.core.delivery.claim import Claimed, Traces
from outboxctl.domain.clock import Deadline, monotonic
from outboxctl.settings import DELIVERY_SHARE
from outboxctl.worker.signals import Signals

RENEW_BELOW = 0.75  # of a lease: a request that starts with less would have too little time
LOOK = 0.05  # seconds between two looks at leases that end by the clock


class Lease:
    """The lease of one claim of `size` events, on this process's clock.

    `name` is that of their projection (None: of the expander, or not known yet). `requested_at` is when the
    claim was sent to the database, so no later than its documents were read.
    `deadline` is that of requests to the sink. No request starts once the documents were read longer ago
    than a lease: they may be old by then, and the batch is released instead.
    Thread-safe without a lock, since each attribute is replaced as a whole by one thread.
    """

    def __init__(
        self, token: str, seconds: float, size: int, *, requested_at: float, name: str | None = None
    ) -> None:
        self.token, self.size, self.requested_at, self.name = token, size, requested_at, name
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
    """A claim with its events, all of the projection `name` (empty: search_index).

    `exclusive`: reclaimed events. Nothing else may be in flight in this process, for one of them may end it.
    `traces` are those of the events, where tracing is on. `others`: other projections may have some due.
    """

    lease: Lease
    events: list[Claimed]
    exclusive: bool
    traces: Traces = ()
    name: str = ""
    others: bool = False


class InFlight:
    """The claims in hand, by lease token. Any thread may call any method."""

    def __init__(self, signals: Signals, *, lease_seconds: float) -> None:
        self._signals, self._lease_seconds = signals, lease_seconds
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}
        self._exclusive: str | None = None  # the token of the claim beside which nothing is claimed
        self._unanswered: dict[str, float] = {}  # claims without an answer, until when they can hold events
        self._abandoned = False

    def add(self, lease: Lease, *, exclusive: bool = False) -> None:
        """Count this claim as in hand; an `exclusive` one until it is removed, whatever its lease."""
        with self._lock:
            self._leases[lease.token] = lease
            if exclusive:
                self._exclusive = lease.token
            if self._abandoned:
                lease.deadline.expire()

    def remove(self, token: str) -> None:
        """Count it no more: it is settled, empty, or left to its lease."""
        with self._lock:
            self._leases.pop(token, None)
            if self._exclusive == token:
                self._exclusive = None
        self._signals.changed()

    def answer_lost(self, token: str) -> None:
        """Note a claim that may hold events, or not: it is released again and again, for a lease."""
        with self._lock:
            self._unanswered[token] = monotonic() + self._lease_seconds

    def abandon(self) -> None:
        """Wait no longer for what is in hand: no request of a delivery starts from now on."""
        with self._lock:
            self._abandoned = True
            for lease in self._leases.values():
                lease.deadline.expire()
        self._signals.abandon()

    def leases(self) -> list[Lease]:
        """The claims in hand, without those whose lease has ended, whatever their lanes still do."""
        with self._lock:
            return [lease for lease in self._leases.values() if not lease.ended]

    def events(self) -> int:
        """How many events the lanes hold."""
        return sum(lease.size for lease in self.leases())

    def unanswered(self) -> list[str]:
        """The tokens of claims without an answer whose lease can still hold events."""
        with self._lock:
            now = monotonic()
            self._unanswered = {token: end for token, end in self._unanswered.items() if end > now}
            return list(self._unanswered)

    def tokens(self) -> set[str]:
        """All claims that may hold events."""
        with self._lock:
            tokens = set(self._leases)
        return tokens.union(self.unanswered())

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait at most `seconds` until nothing is in flight; False where something is, or the worker stops.

        A claim that has been renewed for longer than a lease is not waited for: it may take long.
        """
        end = monotonic() + seconds
        while self._young() and not self._signals.stopping and (left := end - monotonic()) > 0:
            self._signals.wait_until(lambda: not self._young(), min(LOOK, left))
        return not (self._young() or self._signals.stopping)

    def _young(self) -> bool:
        since = monotonic() - self._lease_seconds
        return any(lease.requested_at > since for lease in self.leases())

    def wait_while_exclusive(self) -> bool:
        """Wait until no exclusive claim is in hand; False once the worker stops."""
        self._signals.wait_until(lambda: not self._exclusive, inf)
        return not self._signals.stopping


class Postponed:
    """Outcomes of events that another session has locked: lanes leave them to maintenance; thread-safe.

    Each is tried again for the time of a lease. An event that is still locked then comes back by reclaim,
    which costs an attempt.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()  # maintenance and the release at the stop both call `turn`
        self._pending: dict[Callable[[bool], int], tuple[int, float]] = {}  # of how many events, until when

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return sum(events for events, _ in list(self._pending.values()))

    def add(self, again: Callable[[bool], int], events: int) -> None:
        """Try these again from now on: `again`, perhaps for the last time, returns how many still wait."""
        self._pending[again] = events, monotonic() + self._seconds

    def turn(self) -> None:
        """Try each once."""
        with self._lock:
            for again, (_, ends) in list(self._pending.items()):
                last = monotonic() >= ends
                if (events := again(last)) and not last:
                    self._pending[again] = events, ends
                else:
                    del self._pending[again]
