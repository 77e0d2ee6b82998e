"""What was measured, a value a repetition, and the figures made of it."""

from dataclasses import dataclass, field

from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.pipeline import EndToEnd, cpu
from outboxctl.drills.bench.store import Drained


@dataclass
class Measured:
    """The repetitions, then what is measured once."""

    events: int
    s: list[float] = field(default_factory=list)
    p: list[Drained] = field(default_factory=list)
    e: list[EndToEnd] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    backlog_rss: list[float] = field(default_factory=list)
    help: list[float] = field(default_factory=list)
    first_claim: list[float] = field(default_factory=list)

    @property
    def bound(self) -> list[float]:
        return [1 / (1 / s + 1 / p.rate) for s, p in zip(self.s, self.p, strict=True)]

    @property
    def ratio(self) -> list[float]:
        return [e.rate / b for e, b in zip(self.e, self.bound, strict=True)]

    @property
    def share(self) -> list[float]:
        """The bound as a part of what the sink alone takes."""
        return [b / s for b, s in zip(self.bound, self.s, strict=True)]

    def cpu(self, whose: str) -> list[float]:
        """Microseconds an event of `worker`, `postgres` or `engine`, start-up taken off."""
        return cpu(self.e, whose, self.events)

    def beside(self, whose: str, other: str) -> list[float]:
        """CPU of one as a part of the other's: what may be compared with another machine's.

        0 where a run was too short to cost anything.
        """
        pairs = zip(self.cpu(whose), self.cpu(other), strict=True)
        return [mine / theirs if theirs > 0 else 0.0 for mine, theirs in pairs]

    def figures(self) -> list[BenchFigure]:
        return [*self.rates(), *self._processes(), *self._costs(), *self._claims()]

    def rates(self, of: str = "") -> list[BenchFigure]:
        """The four rates and their ratios; `of` says of what, before each name."""
        return [
            BenchFigure(f"{of}S: sink alone", "events/s", self.s),
            BenchFigure(f"{of}P: claim and settle", "events/s", [p.rate for p in self.p]),
            BenchFigure(f"{of}B: bound", "events/s", self.bound),
            BenchFigure(f"{of}E: end to end", "events/s", [e.rate for e in self.e]),
            BenchFigure(f"{of}E/B", "", self.ratio, at_least=True, digits=2),
            BenchFigure(f"{of}B/S", "", self.share, at_least=True, digits=2),
        ]

    def _processes(self) -> list[BenchFigure]:
        return [
            BenchFigure("whole process", "s", [e.run.wall for e in self.e], digits=2),
            BenchFigure("its start and stop", "s", [e.idle.wall for e in self.e], digits=2),
            BenchFigure("its start within E", "s", [e.start for e in self.e], digits=2),
            BenchFigure("cores taken by others", "", self.others, digits=2),
        ]

    def _costs(self) -> list[BenchFigure]:
        return [
            BenchFigure("worker CPU", "us/event", self.cpu("worker"), digits=1),
            BenchFigure("PostgreSQL CPU", "us/event", self.cpu("postgres"), digits=1),
            BenchFigure("Elasticsearch CPU", "us/event", self.cpu("engine"), digits=1),
            BenchFigure("worker/Elasticsearch CPU", "", self.beside("worker", "engine"), digits=3),
            BenchFigure("PostgreSQL/Elasticsearch CPU", "", self.beside("postgres", "engine"), digits=3),
            BenchFigure("worker memory", "MB", [e.run.rss for e in self.e]),
            BenchFigure("worker memory, backlog", "MB", self.backlog_rss, 150),
            BenchFigure("outboxctl --help", "ms", self.help, 300),
            BenchFigure("start to first claim", "ms", self.first_claim),
        ]

    def _claims(self) -> list[BenchFigure]:
        return [
            BenchFigure("claim, backlog", "ms", [p.median_claim for p in self.p], digits=1),
            BenchFigure("longest claim, backlog", "ms", [p.longest_claim for p in self.p], 100, digits=1),
        ]
