"""The fault proxy as a library: `with Proxy(url) as proxy, proxy.fault(faults.busy()): …`."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from random import Random
from typing import Literal, Self

from outboxctl.drills.proxy.exchange import Exchange, Gate, Gates, Point
from outboxctl.drills.proxy.faults import ActiveFault, ProxyFault
from outboxctl.drills.proxy.request import ProxyRequest
from outboxctl.drills.proxy.server import ProxyServer
from outboxctl.drills.proxy.tally import Bulk, ProxyCounts, Tally
from outboxctl.drills.proxy.upstream import PLAIN, Upstream
from outboxctl.net.certificates import Files

KEEP = 200  # bulk requests that are remembered
PATIENCE = 1.0  # seconds that requests under way get to end by themselves


class Proxy:
    """A proxy of the sink at `upstream` that serves in the block of a `with`, on 127.0.0.1; port 0: any.

    Everything passes through, headers included, but for what a fault changes. UsageError where the port is
    taken. At the end of the block every connection ends, and nothing is applied any more.
    """

    def __init__(self, upstream: str, port: int = 0, *, files: Files = PLAIN, seed: int = 0) -> None:
        self._seed, self._upstream, self._gates = seed, Upstream(upstream, files), Gates()
        self._tally = Tally(KEEP)
        self._lock = threading.Lock()  # of the choice for a request
        self._changing = threading.RLock()  # of what holds: opening and closing the port takes a moment
        self._active: list[ActiveFault] = []
        self._listening = False
        exchange = Exchange(self._upstream.answer, self._tally, choose=self._choose, pause=self._gates.pause)
        self._server = ProxyServer(port, exchange)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._server.listen()
        self._listening = True
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection and all that waits."""
        self._server.exchange.closing.set()
        self.clear()
        self._gates.let_all_go()
        self._server.close()
        if not self._server.ended(PATIENCE):
            self._upstream.cut()
            self._server.ended(PATIENCE)

    @property
    def url(self) -> str:
        """The URL for clients."""
        return self._server.url

    @property
    def counts(self) -> ProxyCounts:
        """The counts until now."""
        return self._tally.counts

    @property
    def recent(self) -> list[Bulk]:
        """The last bulk requests, the oldest first; at most 200."""
        return self._tally.recent

    @contextmanager
    def fault(self, fault: ProxyFault) -> Iterator[None]:
        """Let a fault hold until the block ends; the one that began last counts.

        What it holds up at its end goes on at once.
        """
        active = self._begin(fault)
        try:
            yield
        finally:
            self._end([active])

    def set(self, fault: ProxyFault) -> None:
        """Let this fault hold, and no other, until `clear`."""
        with self._changing:
            before = list(self._active)
            self._begin(fault)
            self._end(before)

    def clear(self) -> None:
        """End all faults."""
        with self._changing:
            self._end(list(self._active))

    def hold(self, point: Literal["before apply", "after apply"]) -> AbstractContextManager[Gate]:
        """Hold every bulk request that comes to this point until the block ends, or `let_go` of the gate."""
        return self._gates.hold(Point(point))

    def _begin(self, fault: ProxyFault) -> ActiveFault:
        active = ActiveFault(fault, rng=Random(self._seed))  # noqa: S311 - chance, not a secret
        with self._changing:
            with self._lock:
                self._active.append(active)
            self._open_or_close()
        return active

    def _end(self, ended: list[ActiveFault]) -> None:
        with self._changing:
            for each in ended:
                with self._lock, suppress(ValueError):  # `clear` may have ended it before its block did
                    self._active.remove(each)
                each.over.set()
            self._open_or_close()

    def _open_or_close(self) -> None:
        wanted = self._active[-1].fault.listening if self._active else True
        if wanted != self._listening and not self._server.exchange.closing.is_set():
            self._server.listen() if wanted else self._server.refuse()
            self._listening = wanted

    def _choose(self, request: ProxyRequest, _bulk: Bulk | None) -> ActiveFault:
        with self._lock:
            active = self._active[-1] if self._active else None
            return active if active and active.strikes(request) else ActiveFault()
