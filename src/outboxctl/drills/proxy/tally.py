"""Counts of what has passed the proxy."""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from outboxctl.drills.proxy.faults import HEALTHY, ProxyFault
from outboxctl.drills.proxy.request import ProxyRequest
from outboxctl.drills.proxy.wire import ProxyReply

SUCCESS = range(200, 300)


@dataclass(frozen=True)
class Bulk:
    """A bulk request as it arrived: its number from 0, ids, size in bytes, and when (monotonic)."""

    number: int
    ids: tuple[str, ...]
    size: int
    at: float


@dataclass(frozen=True)
class ProxyCounts:
    """Counts of all requests, of bulk requests, and of those that a fault struck, in all and by its name.

    `items_failed` are those refused in bulk requests; `applied_then_lost` requests that the sink
    applied and whose answer the client did not get. Refused connections are not counted: the proxy sees none.
    """

    requests: int = 0
    bulks: int = 0
    struck: int = 0
    items_failed: int = 0
    applied_then_lost: int = 0
    by_fault: Mapping[str, int] = field(default_factory=dict)


class Tally:
    """Counts from many threads; the last `keep` bulk requests are remembered, or all."""

    def __init__(self, keep: int | None) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._by_fault: Counter[str] = Counter()
        self._recent: deque[Bulk] = deque(maxlen=keep)

    @property
    def counts(self) -> ProxyCounts:
        """The counts at this moment."""
        with self._lock:
            by_fault = dict(self._by_fault)
            return ProxyCounts(**self._counts, struck=self._by_fault.total(), by_fault=by_fault)

    @property
    def recent(self) -> list[Bulk]:
        """The bulk requests, the oldest first."""
        with self._lock:
            return list(self._recent)

    def arrived(self, request: ProxyRequest) -> Bulk | None:
        """Count a request; returns the facts of a bulk request."""
        bulk = None
        ids = tuple(action.id for action in request.actions()) if request.is_bulk else ()
        with self._lock:
            self._counts["requests"] += 1
            if request.is_bulk:
                bulk = Bulk(self._counts["bulks"], ids, len(request.body), monotonic())
                self._counts["bulks"] += 1
                self._recent.append(bulk)
        return bulk

    def met(self, fault: ProxyFault) -> None:
        """Count the fault that strikes a request."""
        if fault is not HEALTHY:
            with self._lock:
                self._by_fault[fault.name] += 1

    def applied(self, fault: ProxyFault, truth: ProxyReply, items_failed: int) -> None:
        """Count an answer of the sink."""
        lost = fault.loses and truth.status in SUCCESS
        with self._lock:
            self._counts["items_failed"] += items_failed
            self._counts["applied_then_lost"] += lost
