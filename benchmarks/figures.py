"""What was measured, a value a repetition, and the figures made of it."""

from dataclasses import dataclass, field
from statistics import median

from outboxctl.bench.figure import Figure
from outboxctl.bench.pipeline import EndToEnd
from outboxctl.bench.store import Drained


@dataclass
class Measured:
    """The repetitions, then what is measured once."""

    events: int
    s: list[float] = field(default_factory=list)
    p: list[Drained] = field(default_factory=list)
    e: list[EndToEnd] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    backlog_rss: list[float] = field(default_factory=list)
    stream: list[Drained] = field(default_factory=list)
    help: list[float] = field(default_factory=list)
    first_claim: list[float] = field(default_factory=list)

    @property
    def bound(self) -> list[float]:
        return [1 / (1 / s + 1 / p.rate) for s, p in zip(self.s, self.p, strict=True)]

    @property
    def ratio(self) -> list[float]:
        return [e.rate / b for e, b in zip(self.e, self.bound, strict=True)]

    def cpu(self, whose: str) -> list[float]:
        """Microseconds an event of `worker`, `postgres` or `engine`, start-up taken off."""
        idle = median(getattr(e.idle, whose) for e in self.e)
        return [1e6 * (getattr(e.run, whose) - idle) / self.events for e in self.e]

    def figures(self) -> list[Figure]:
        return [*self._rates(), *self._costs(), *self._claims()]

    def _rates(self) -> list[Figure]:
        return [
            Figure("S: sink alone", "events/s", self.s),
            Figure("P: claim and settle", "events/s", [p.rate for p in self.p]),
            Figure("B: bound", "events/s", self.bound),
            Figure("E: end to end", "events/s", [e.rate for e in self.e]),
            Figure("E/B", "", self.ratio, 0.75, at_least=True, digits=2),
            Figure("whole process", "s", [e.run.wall for e in self.e], digits=2),
            Figure("its start and stop", "s", [e.idle.wall for e in self.e], digits=2),
            Figure("cores taken by others", "", self.others, digits=2),
        ]

    def _costs(self) -> list[Figure]:
        return [
            Figure("worker CPU", "us/event", self.cpu("worker"), 12, digits=1),
            Figure("PostgreSQL CPU", "us/event", self.cpu("postgres"), digits=1),
            Figure("Elasticsearch CPU", "us/event", self.cpu("engine"), digits=1),
            Figure("worker memory", "MB", [e.run.rss for e in self.e]),
            Figure("worker memory, backlog", "MB", self.backlog_rss, 150),
            Figure("outboxctl --help", "ms", self.help, 300),
            Figure("start to first claim", "ms", self.first_claim, 700),
        ]

    def _claims(self) -> list[Figure]:
        return [
            Figure("claim, backlog", "ms", [p.median_claim for p in self.p], digits=1),
            Figure("longest claim, backlog", "ms", [p.longest_claim for p in self.p], 100, digits=1),
            Figure("claim, stream", "ms", [p.median_claim for p in self.stream], digits=1),
            Figure("longest claim, stream", "ms", [p.longest_claim for p in self.stream], 100, digits=1),
            Figure("stream, writer included", "events/s", [p.rate for p in self.stream]),
        ]
