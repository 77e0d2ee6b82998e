"""One request on its way through a fault to the sink and back, and the points at which it can be held."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from outboxctl.drills.proxy.faults import ActiveFault, ProxyFault
from outboxctl.drills.proxy.request import Backend, ProxyRequest, apply_without
from outboxctl.drills.proxy.tally import Bulk, Tally
from outboxctl.drills.proxy.wire import ProxyReply


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


class Exchange:
    """Chooses a fault for each request and applies it; once `closing` is set, no request reaches the sink."""

    def __init__(
        self,
        backend: Backend,
        tally: Tally,
        *,
        choose: Callable[[ProxyRequest, Bulk | None], ActiveFault],
        pause: Callable[[Point], None],
    ) -> None:
        self._backend, self.tally, self._choose, self._pause = backend, tally, choose, pause
        self.closing = threading.Event()

    def answer(self, request: ProxyRequest) -> tuple[ProxyReply, ActiveFault]:
        """The answer, and the fault that says how to send it. ConnectionAbortedError once `closing`."""
        bulk = self.tally.arrived(request)
        active = self._choose(request, bulk)
        fault = active.fault
        self.tally.met(fault)
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

    def _apply(self, request: ProxyRequest, fault: ProxyFault) -> ProxyReply:
        if fault.items and request.is_bulk:
            truth, failed = apply_without(request, fault.items, self._backend)
        else:
            truth, failed = self._backend(request), 0
        self.tally.applied(fault, truth, failed)
        return truth
