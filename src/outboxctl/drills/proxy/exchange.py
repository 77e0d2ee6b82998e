"""The way of one request through a fault, to the sink and back."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from outboxctl.drills.proxy import items
from outboxctl.drills.proxy.fault import ProxyFault, Spell
from outboxctl.drills.proxy.points import Point
from outboxctl.drills.proxy.request import Backend, ProxyRequest
from outboxctl.drills.proxy.tally import Bulk, Tally
from outboxctl.drills.proxy.wire import ProxyReply


@dataclass(frozen=True)
class Answered:
    """What to send, and how; `until` ends what takes long about it."""

    reply: ProxyReply
    fault: ProxyFault
    until: threading.Event


class Exchange:
    """Chooses a fault for each request and does what it says; once `closing`, nothing is applied any more."""

    def __init__(
        self,
        backend: Backend,
        tally: Tally,
        *,
        choose: Callable[[ProxyRequest, Bulk | None], Spell],
        pause: Callable[[Point], None],
    ) -> None:
        self._backend, self.tally, self._choose, self._pause = backend, tally, choose, pause
        self.closing = threading.Event()

    def answer(self, asked: ProxyRequest) -> Answered:
        """What becomes of a request. ConnectionAbortedError where the proxy ends meanwhile."""
        bulk = self.tally.arrived(asked)
        spell = self._choose(asked, bulk)
        fault = spell.fault
        self.tally.met(fault)
        spell.over.wait(fault.before)
        self._hold(bulk, Point.BEFORE_APPLY)
        if self.closing.is_set():
            raise ConnectionAbortedError
        truth = self._apply(asked, fault) if fault.apply else ProxyReply()
        self._hold(bulk, Point.AFTER_APPLY)
        spell.over.wait(fault.after)
        return Answered(fault.changed(truth), fault, spell.over)

    def _hold(self, bulk: Bulk | None, point: Point) -> None:
        if bulk:
            self._pause(point)

    def _apply(self, asked: ProxyRequest, fault: ProxyFault) -> ProxyReply:
        if fault.items and asked.is_bulk:
            truth, failed = items.apply(asked, fault.items, self._backend)
        else:
            truth, failed = self._backend.answer(asked), 0
        self.tally.applied(fault, truth, failed)
        return truth
