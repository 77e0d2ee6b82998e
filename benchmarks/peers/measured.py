"""What was measured, a value a repetition, and the figures made of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.peers.own import Burst
from benchmarks.peers.pgsync import FirstSync
from benchmarks.peers.writer import Stream
from outboxctl.drills.bench.figure import BenchFigure

TIMES = 3.0  # the target: a burst against pgsync's first sync
LAG = 1.0  # seconds, as for a stream


@dataclass
class Measured:
    """The repetitions; `missing` says why a peer was not measured."""

    burst: list[Burst] = field(default_factory=list)
    stream: list[Stream] = field(default_factory=list)
    first: list[FirstSync] = field(default_factory=list)
    as_it_comes: list[FirstSync] = field(default_factory=list)
    daemon: list[Stream] = field(default_factory=list)
    wal: list[Stream] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    one_by_one: list[float] = field(default_factory=list)
    s: list[float] = field(default_factory=list)
    helpers: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    others: list[float] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def figures(self) -> list[BenchFigure]:
        """Those that were measured."""
        every = [
            *self._bursts(),
            *_stream("outboxctl", self.stream, LAG),
            *_stream("pgsync", self.daemon),
            *_stream("pgsync --wal", self.wal),
            *self._sinks(),
            BenchFigure("cores taken by others", "", self.others, digits=2),
        ]
        return [figure for figure in every if figure.values]

    def _bursts(self) -> list[BenchFigure]:
        pairs = list(zip(self.burst, self.first, strict=False))
        plain = list(zip(self.burst, self.as_it_comes, strict=False))
        return [
            BenchFigure("outboxctl, exec to exit", "events/s", [b.whole for b in self.burst]),
            BenchFigure("outboxctl, running", "events/s", [b.lanes for b in self.burst]),
            BenchFigure("pgsync, from exec", "docs/s", [f.whole for f in self.first]),
            BenchFigure("pgsync, running", "docs/s", [f.running for f in self.first]),
            BenchFigure("pgsync as it comes, from exec", "docs/s", [f.whole for f in self.as_it_comes]),
            BenchFigure("naive worker", "events/s", self.naive),
            BenchFigure("one by one, as the lab's", "events/s", self.one_by_one),
            _times("outboxctl/pgsync, from exec", [b.whole / f.whole for b, f in pairs]),
            _times("outboxctl/pgsync, running", [b.lanes / f.running for b, f in pairs]),
            _times("outboxctl/pgsync as it comes", [b.whole / f.whole for b, f in plain]),
            BenchFigure("pgsync, bootstrap before", "s", [f.bootstrap for f in self.first], digits=1),
            BenchFigure("outboxctl, own CPU", "us/event", [b.cpu for b in self.burst], digits=1),
            BenchFigure("pgsync, own CPU", "us/doc", [f.cpu for f in self.first], digits=1),
        ]

    def _sinks(self) -> list[BenchFigure]:
        return [
            BenchFigure("S: bulk with bytes", "docs/s", self.s),
            *(BenchFigure(name, "docs/s", rates) for name, rates in self.helpers.items()),
        ]


def _times(name: str, values: list[float]) -> BenchFigure:
    return BenchFigure(name, "", values, TIMES, at_least=True, digits=2)


def _stream(who: str, streams: Sequence[Stream], lag: float | None = None) -> list[BenchFigure]:
    whose = {"own": "own", "redis": "Redis", "postgres": "PostgreSQL", "engine": "Elasticsearch"}
    spent = {name: [s.cpu[key] for s in streams if key in s.cpu] for key, name in whose.items()}
    return [
        BenchFigure(f"{who}: updates", "rows/s", [s.rate for s in streams]),
        BenchFigure(f"{who}: its writer", "rows/s", [s.writer for s in streams]),
        BenchFigure(f"{who}: lag", "s", [s.lag for s in streams], lag, digits=2),
        *(BenchFigure(f"{who}: {name} CPU", "us/row", values, digits=1) for name, values in spent.items()),
    ]
