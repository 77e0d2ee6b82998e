"""What was measured, a value a repetition, and the figures made from it."""

from dataclasses import dataclass, field
from statistics import median

from outboxctl.domain.printable import counted
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.options import BenchOptions, Cell
from outboxctl.drills.bench.pipeline import EndToEnd, cpu
from outboxctl.drills.bench.store import Drained

AS_GOOD = 0.97  # of the highest rate: a smaller difference is noise
SERVERS = {"postgres": "PostgreSQL CPU", "engine": "engine CPU"}


@dataclass
class Measured:
    """S by the number of senders, P and E a repetition; E by cell where there was a choice.

    `shared`: all three share one machine's cores. `known`: the servers whose CPU could be read.
    `best`: the cell that S, P and E are of, None before a search has ended. `line`: bytes of a
    document with its line of the request.
    """

    options: BenchOptions
    shared: bool
    known: list[str]
    best: Cell | None = None
    line: int = 0
    s: list[dict[int, float]] = field(default_factory=list)
    p: list[Drained] = field(default_factory=list)
    e: list[EndToEnd] = field(default_factory=list)
    matrix: dict[Cell, list[float]] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)
    trips: dict[str, float] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def has_values(self) -> bool:
        """Whether anything was measured."""
        return bool(self.e or any(self.matrix.values()))

    def choose(self) -> Cell:
        """The cell with the fewest lanes, then the smallest batch, that is as good as the highest."""
        rates = {cell: median(values) for cell, values in self.matrix.items() if values}
        highest = max(rates.values())
        return min(cell for cell, rate in rates.items() if rate >= AS_GOOD * highest)

    @property
    def sink(self) -> list[float]:
        """S: the best number of senders of each repetition."""
        return [max(rates.values()) for rates in self.s]

    @property
    def bound(self) -> list[float]:
        """B: the bound that S and P set together, which depends on whether they share the cores."""
        pairs = zip(self.sink, (p.rate for p in self.p), strict=True)
        return [1 / (1 / s + 1 / p) if self.shared else min(s, p) for s, p in pairs]

    @property
    def starting(self) -> list[float]:
        """The worker's start as a part of the seconds that E took."""
        return [e.start * e.rate / self.options.events for e in self.e]

    def cpu(self, whose: str) -> list[float]:
        """Microseconds an event of `worker`, `postgres` or `engine`, less the start-up."""
        return cpu(self.e, whose, self.options.events)

    def figures(self) -> dict[str, BenchFigure]:
        """By key, in the order in which they are shown; none before a repetition is complete."""
        return self._rates() | self._costs() | self._times() if self.e else {}

    @property
    def ratio(self) -> list[float]:
        """E/B of each repetition."""
        return [e.rate / b for e, b in zip(self.e, self.bound, strict=True)]

    def _rates(self) -> dict[str, BenchFigure]:
        return {
            "s": BenchFigure("S: sink alone", "events/s", self.sink),
            **{f"s_{n}": self._senders(n) for n in self.s[0]},
            "p": BenchFigure("P: claim and settle alone", "events/s", [p.rate for p in self.p]),
            "b": BenchFigure("B: bound", "events/s", self.bound),
            "e": BenchFigure("E: worker, end to end", "events/s", [e.rate for e in self.e]),
            "ratio": BenchFigure("E/B", "", self.ratio, digits=2),
        }

    def _senders(self, count: int) -> BenchFigure:
        name = f"S with {counted(count, 'sender')}"
        return BenchFigure(name, "events/s", [rates[count] for rates in self.s])

    def _costs(self) -> dict[str, BenchFigure]:
        servers = {
            f"{whose}_cpu": BenchFigure(name, "us/event", self.cpu(whose), digits=1)
            for whose, name in SERVERS.items()
            if whose in self.known
        }
        return {"worker_cpu": BenchFigure("worker CPU", "us/event", self.cpu("worker"), digits=1)} | servers

    def _times(self) -> dict[str, BenchFigure]:
        claims = [p.median_claim for p in self.p]
        times = {
            "claim": BenchFigure("a claim", "ms", claims, digits=1),
            "longest_claim": BenchFigure("longest claim", "ms", [p.longest_claim for p in self.p], digits=1),
            "settle": BenchFigure("a settle", "ms", [p.median_settle for p in self.p], digits=1),
            "memory": BenchFigure("worker memory", "MB", [e.run.rss for e in self.e]),
        }
        others = (
            {"others": BenchFigure("cores taken by others", "", self.others, digits=2)} if self.others else {}
        )
        return times | others
