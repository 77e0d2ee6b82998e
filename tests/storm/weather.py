"""The faults of the sink while it storms, and how often each came."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from time import monotonic

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import DROP_AFTER, HEALTHY, RESET_BEFORE, answered, refused
from fakes.script import Bulk
from outboxctl.drills.proxy.faults import blackhole
from outboxctl.drills.proxy.wire import PRODUCT, ProxyReply
from storm.plan import Plan

Shape = Callable[[Bulk], ProxyFault]
SILENCE = "no answer to declared projections"
BUSY = ("es_rejected_execution_exception", "the storm says so")
AN_ITEM = 0.003  # seconds of a slow request: time enough for a blow to meet it
LATE = Plan.lease + 1  # seconds that a request is held: its sender has given up, others have sent newer ones
PAGE = b"<html>The plain HTTP request was sent to HTTPS port</html>"
GATEWAY = ProxyReply(502, b"<html>bad gateway</html>", {PRODUCT: None, "Content-Type": "text/html"})


def _some_refused(bulk: Bulk) -> ProxyFault:
    """Fewer than half of the items: with more the workers would slow down, and hold little when struck."""
    error = dict(zip(("type", "reason"), BUSY, strict=True))
    return ProxyFault(items=dict.fromkeys(bulk.ids[::3], (429, error)).get)


def _slow_before(bulk: Bulk) -> ProxyFault:
    return ProxyFault(before=AN_ITEM * len(bulk.ids))


def _slow_after(bulk: Bulk) -> ProxyFault:
    return ProxyFault(after=AN_ITEM * len(bulk.ids))


def _always(fault: ProxyFault) -> Shape:
    return lambda _: fault


FAULTS: dict[str, tuple[float, Shape]] = {
    "429": (0.04, _always(refused(429, *BUSY))),
    "429, Retry-After: 0": (0.005, _always(refused(429, *BUSY, Retry_After="0"))),
    "429, Retry-After: 1": (0.005, _always(refused(429, *BUSY, Retry_After="1"))),
    "429 for a third of the items": (0.1, _some_refused),
    "slow before applying": (0.25, _slow_before),
    "slow after applying": (0.25, _slow_after),
    "applied late, after its lease": (0.004, _always(ProxyFault(before=LATE))),
    "400 for everything, by a page": (0.01, _always(answered(400, PAGE, Content_Type="text/html"))),
    "502 after applying": (0.01, _always(ProxyFault(reply=GATEWAY))),
    "dropped after applying": (0.01, _always(DROP_AFTER)),
    "reset before applying": (0.005, _always(RESET_BEFORE)),
    SILENCE: (0, _always(blackhole())),
}


class Weather:
    """Draws the fault of each bulk request; `seen` counts those that came, `clear` ends them.

    While it is `silent` no request of a declared projection is answered.
    """

    def __init__(self, rng: Random) -> None:
        self.seen: Counter[str] = Counter()
        self._rng, self._lock, self._fine = rng, threading.Lock(), True
        self._last, self.silent = 0.0, False
        self.url, self.requests = "", 0

    def choose(self, bulk: Bulk) -> ProxyFault:
        """One fault by chance, or none."""
        with self._lock:
            self.requests += 1
            silent = self.silent and ":" not in bulk.ids[0]  # as in ids of search_index
            drawn = SILENCE if silent else None if self._fine else self._draw()
            if drawn is None:
                return HEALTHY
            self.seen[drawn] += 1
            self._last = monotonic()
        return FAULTS[drawn][1](bulk)

    def begin(self) -> None:
        """From now on the sink misbehaves."""
        with self._lock:
            self._fine = False

    def clear(self) -> None:
        """From now on the sink is well."""
        with self._lock:
            self._fine = True

    def over(self) -> bool:
        """Whether nothing that was held can still arrive."""
        return monotonic() > self._last + LATE

    def _draw(self) -> str | None:
        chances = [chance for chance, _ in FAULTS.values()]
        return self._rng.choices([*FAULTS, None], [*chances, 1 - sum(chances)])[0]


@contextmanager
def proxied(rng: Random, upstream: str) -> Iterator[Weather]:
    """A proxy in front of the engine, with this weather."""
    weather = Weather(rng)
    with fake_sink(Script(weather.choose), upstream=upstream) as sink:
        weather.url = sink.url
        yield weather
