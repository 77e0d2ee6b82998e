"""One request on its way through a fault to the sink and back: what is counted, and where it can be held."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic

from outboxctl.drills.proxy.faults import HEALTHY, ActiveFault, ProxyFault
from outboxctl.drills.proxy.request import Backend, ProxyRequest, apply_without
from outboxctl.drills.proxy.wire import ProxyReply

SUCCESS = range(200, 300)


class Point(StrEnum):
    """Where a bulk request can be held."""

    BEFORE_APPLY = "before apply"
    AFTER_APPLY = "after apply"


class Gate:
    """Holds the bulk requests that come to its point until it is opened."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self._reached, self._open = threading.Event(), threading.Event()

    def wait(self, within: float = 20) -> None:
        """Wait until a request has come here; TimeoutError if none does."""
        if not self._reached.wait(within):
            raise TimeoutError(f"no request came to {self.point!r} within {within} s")

    def let_go(self) -> None:
        """Let everything pass from now on."""
        self._open.set()

    def stop(self) -> None:
        """Hold the calling request."""
        self._reached.set()
        self._open.wait()


class Gates:
    """The gates that there are at the moment."""

    def __init__(self) -> None:
        self._gates: list[Gate] = []

    @contextmanager
    def hold(self, point: Point) -> Iterator[Gate]:
        """Hold every bulk request that comes to this point until the block ends, or `let_go`."""
        gate = Gate(point)
        self._gates.append(gate)
        try:
            yield gate
        finally:
            self._gates.remove(gate)
            gate.let_go()

    def pause(self, point: Point) -> None:
        """Hold the calling request while there is a gate at this point."""
        for gate in [gate for gate in self._gates if gate.point is point]:
            gate.stop()

    def let_all_go(self) -> None:
        """Let go what is held anywhere."""
        for gate in list(self._gates):
            gate.let_go()


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


class Exchange:
    """Chooses a fault for each request and applies it; once `closing` is set, no request reaches the sink.

    The last `keep` bulk requests are remembered, or all.
    """

    def __init__(
        self,
        backend: Backend,
        keep: int | None,
        *,
        choose: Callable[[ProxyRequest, Bulk | None], ActiveFault],
        pause: Callable[[Point], None],
    ) -> None:
        self._backend, self._choose, self._pause = backend, choose, pause
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._counted: Counter[str] = Counter()
        self._by_fault: Counter[str] = Counter()
        self._recent: deque[Bulk] = deque(maxlen=keep)

    @property
    def counts(self) -> ProxyCounts:
        """The counts at this moment."""
        with self._lock:
            by_fault = dict(self._by_fault)
            return ProxyCounts(**self._counted, struck=sum(by_fault.values()), by_fault=by_fault)

    @property
    def recent(self) -> list[Bulk]:
        """The bulk requests, the oldest first."""
        with self._lock:
            return list(self._recent)

    def answer(self, request: ProxyRequest) -> tuple[ProxyReply, ActiveFault]:
        """The answer, and the fault that says how to send it. ConnectionAbortedError once `closing`."""
        bulk = self._arrived(request)
        active = self._choose(request, bulk)
        fault = active.fault
        if fault is not HEALTHY:
            with self._lock:
                self._by_fault[fault.name] += 1
        active.over.wait(fault.before)
        if bulk:
            self._pause(Point.BEFORE_APPLY)
        if self.closing.is_set():
            raise ConnectionAbortedError
        truth = self._apply(request, fault) if fault.apply else ProxyReply()
        if bulk:
            self._pause(Point.AFTER_APPLY)
        active.over.wait(fault.after)
        return fault.changed(truth), active

    def _arrived(self, request: ProxyRequest) -> Bulk | None:
        """Count a request; returns the facts of a bulk request."""
        bulk = None
        ids = tuple(action.id for action in request.actions()) if request.is_bulk else ()
        with self._lock:
            self._counted["requests"] += 1
            if request.is_bulk:
                bulk = Bulk(self._counted["bulks"], ids, len(request.body), monotonic())
                self._counted["bulks"] += 1
                self._recent.append(bulk)
        return bulk

    def _apply(self, request: ProxyRequest, fault: ProxyFault) -> ProxyReply:
        if fault.items and request.is_bulk:
            truth, failed = apply_without(request, fault.items, self._backend)
        else:
            truth, failed = self._backend(request), 0
        with self._lock:
            self._counted["items_failed"] += failed
            self._counted["applied_then_lost"] += fault.loses and truth.status in SUCCESS
        return truth
