"""The fault proxy as a library: `with Proxy(url) as proxy, proxy.fault(faults.busy()): …`."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from random import Random
from typing import Literal, Self

from outboxctl.drills.proxy.exchange import Exchange
from outboxctl.drills.proxy.fault import ProxyFault, Spell
from outboxctl.drills.proxy.points import Gate, Gates, Point
from outboxctl.drills.proxy.request import ProxyRequest
from outboxctl.drills.proxy.server import ProxyServer
from outboxctl.drills.proxy.tally import Bulk, ProxyCounts, Tally
from outboxctl.drills.proxy.upstream import PLAIN, Upstream
from outboxctl.net.certificates import Files

KEEP = 200  # bulk requests that are remembered
PATIENCE = 1.0  # seconds that requests under way get to end by themselves


class Proxy:
    """Stands before the sink at `upstream` in the block of a `with`, on 127.0.0.1; port 0: any free one.

    Everything passes through, headers included, but for what a fault says. UsageError where the port is
    taken. At the end of the block every connection ends, and nothing is applied any more.
    """

    def __init__(self, upstream: str, port: int = 0, *, files: Files = PLAIN, seed: int = 0) -> None:
        self._port, self._seed = port, seed
        self._upstream, self._gates, self._tally = Upstream(upstream, files), Gates(), Tally(KEEP)
        self._lock = threading.Lock()  # of the choice for a request
        self._changing = threading.RLock()  # of what holds: opening and closing the port takes a moment
        self._spells: list[Spell] = []
        self._listening = False
        self._server: ProxyServer | None = None

    def __enter__(self) -> Self:
        """Begin to serve."""
        exchange = Exchange(self._upstream, self._tally, choose=self._choose, pause=self._gates.pause)
        self._server = ProxyServer(self._port, exchange)
        self._server.listen()
        self._listening = True
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection and all that waits."""
        server = self._serving()
        server.exchange.closing.set()
        self.clear()
        self._gates.let_all_go()
        server.close()
        if not server.ended(PATIENCE):
            self._upstream.cut()
            server.ended(PATIENCE)

    @property
    def url(self) -> str:
        """What a client connects to."""
        return self._serving().url

    @property
    def counts(self) -> ProxyCounts:
        """What has come through until now."""
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
        spell = self._begin(fault)
        try:
            yield
        finally:
            self._end([spell])

    def set(self, fault: ProxyFault) -> None:
        """Let this fault hold, and no other, until `clear`."""
        with self._changing:
            before = list(self._spells)
            self._begin(fault)
            self._end(before)

    def clear(self) -> None:
        """End all faults."""
        with self._changing:
            self._end(list(self._spells))

    def hold(self, point: Literal["before apply", "after apply"]) -> AbstractContextManager[Gate]:
        """Hold every bulk request that comes to this point until the block ends, or `let_go` of the gate."""
        return self._gates.hold(Point(point))

    def _begin(self, fault: ProxyFault) -> Spell:
        spell = Spell(fault, rng=Random(self._seed))  # noqa: S311 - chance, not a secret
        with self._changing:
            with self._lock:
                self._spells.append(spell)
            self._open_or_close()
        return spell

    def _end(self, spells: list[Spell]) -> None:
        with self._changing:
            for spell in spells:
                with self._lock, suppress(ValueError):  # `clear` may have ended it before its block did
                    self._spells.remove(spell)
                spell.over.set()
            self._open_or_close()

    def _open_or_close(self) -> None:
        wanted = self._spells[-1].fault.listening if self._spells else True
        server = self._serving()
        if wanted != self._listening and not server.exchange.closing.is_set():
            server.listen() if wanted else server.refuse()
            self._listening = wanted

    def _choose(self, asked: ProxyRequest, _bulk: Bulk | None) -> Spell:
        with self._lock:
            spell = self._spells[-1] if self._spells else None
            return spell if spell and spell.strikes(asked) else Spell()

    def _serving(self) -> ProxyServer:
        if self._server is None:
            raise RuntimeError("a proxy serves in the block of a `with`")
        return self._server
