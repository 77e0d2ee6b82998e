"""The fault proxy as a library: `with Proxy(url) as proxy, proxy.fault(faults.busy()): …`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from random import Random
from typing import Literal, Self

from outboxctl.drills.proxy.faults import ActiveFault, ProxyFault
from outboxctl.drills.proxy.passing import Bulk, Gate, Gates, Point
from outboxctl.drills.proxy.request import ProxyRequest
from outboxctl.drills.proxy.server import ProxyServer
from outboxctl.drills.proxy.upstream import PLAIN, Upstream
from outboxctl.net.certificates import Files

KEEP = 200  # bulk requests that are remembered


class Proxy(ProxyServer):
    """A proxy of the sink at `upstream` that serves in the block of a `with`, on 127.0.0.1; port 0: any.

    Everything passes through, headers included, but for what a fault changes. UsageError where the port is
    taken. At the end of the block every connection ends, and nothing is applied any more.
    """

    def __init__(self, upstream: str, port: int = 0, *, files: Files = PLAIN) -> None:
        self._upstream, self._gates = Upstream(upstream, files), Gates()
        self._active: ActiveFault | None = None
        self._listening = True
        super().__init__(port, self._upstream.answer, KEEP)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection and all that waits."""
        self.closing.set()
        self.clear()
        self._gates.let_all_go()
        self.close()
        self._upstream.cut()

    @contextmanager
    def fault(self, fault: ProxyFault) -> Iterator[None]:
        """Let a fault hold until the block ends, and no other; what it holds up goes on at once then."""
        self.set(fault)
        try:
            yield
        finally:
            self.clear()

    def set(self, fault: ProxyFault) -> None:
        """Let this fault hold, and no other, until `clear`. The same requests are struck each time."""
        self._change(ActiveFault(fault, rng=Random(0)))  # noqa: S311 - chance, not a secret

    def clear(self) -> None:
        """End the fault."""
        self._change(None)

    def hold(self, point: Literal["before apply", "after apply"]) -> AbstractContextManager[Gate]:
        """Hold every bulk request that comes to this point until the block ends, or `let_go` of the gate."""
        return self._gates.hold(Point(point))

    def choose(self, request: ProxyRequest, bulk: Bulk | None) -> ActiveFault:  # noqa: ARG002 - the base's
        """The fault that holds, if it strikes this request."""
        with self._lock:
            return self._active if self._active and self._active.strikes(request) else ActiveFault()

    def gates(self) -> Gates:
        """Those of `hold`."""
        return self._gates

    def _change(self, active: ActiveFault | None) -> None:
        with self._lock:
            before, self._active = self._active, active
        if before:
            before.over.set()
        wanted = active.fault.listening if active else True
        if wanted != self._listening and not self.closing.is_set():
            self.listen() if wanted else self.refuse()
            self._listening = wanted
