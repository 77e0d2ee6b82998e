"""The options of a run, what was measured, a value a repetition, and the figures made from it."""

from dataclasses import dataclass, field
from statistics import median

from outboxctl.domain.printable import counted
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.lanes import Drained
from outboxctl.drills.bench.process import EndToEnd

MOST_BYTES = 1_000_000_000  # of all documents, which are held in memory to measure S
MOST_CELLS, MOST_LANES, LARGEST_BATCH = 24, 64, 10_000
REQUEST_SIZE, REQUEST_BYTES = 1_000, 10_000_000  # what measures S sends at a time
EVENTS_A_SECOND = 25_000  # of a quick system, for a guess of how long it takes
START_SECONDS = 1.3  # of a worker
FILLS = 3  # how often a repetition writes all rows, roughly counted in deliveries
AS_GOOD = 0.97  # of the highest rate: a smaller difference is noise
SERVER_CPU = {"postgres": "PostgreSQL CPU", "engine": "engine CPU"}


@dataclass(frozen=True, order=True)
class Cell:
    """One setting of the worker."""

    concurrency: int
    bulk_size: int

    def __str__(self) -> str:
        """In words: `3 lanes, 1,000 a batch`."""
        return f"{counted(self.concurrency, 'lane')}, {self.bulk_size:,} a batch"


@dataclass(frozen=True)
class BenchOptions:
    """`events` of `bytes` of JSON each, `repeat` times; of several `cells` the best is searched first."""

    events: int
    bytes: int
    repeat: int
    cells: list[Cell]

    @property
    def searching(self) -> bool:
        """Whether the best of several cells is searched."""
        return len(self.cells) > 1

    @property
    def request_size(self) -> int:
        """Documents in each request that measures S."""
        return max(1, min(REQUEST_SIZE, REQUEST_BYTES // self.bytes))

    @property
    def steps(self) -> int:
        """How many steps a run reports: the warm-up, the cells, and S, P and E of each repetition."""
        return 1 + self._runs_of_cells + 3 * (self.repeat + 1)

    @property
    def documents(self) -> int:
        """About how many documents are written to both ends, the warm-up apart."""
        return self.events * (self._runs_of_cells + 5 * (self.repeat + 1))

    @property
    def seconds(self) -> float:
        """About how long it takes on a quick system."""
        starts = self._runs_of_cells + 2 * (self.repeat + 1)
        return 10 + starts * START_SECONDS + (self.documents * FILLS / 2) / EVENTS_A_SECOND

    @property
    def _runs_of_cells(self) -> int:
        return len(self.cells) * (self.repeat + 1) if self.searching else 0


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
        return min(cell for cell, rate in rates.items() if rate >= AS_GOOD * max(rates.values()))

    @property
    def sink(self) -> list[float]:
        """S: the best number of senders of each repetition."""
        return [max(rates.values()) for rates in self.s]

    @property
    def bound(self) -> list[float]:
        """B: the bound that S and P set together, which depends on whether they share the cores."""
        pairs = zip(self.sink, (p.rate for p in self.p), strict=True)
        return [1 / (1 / s + 1 / p) if self.shared else min(s, p) for s, p in pairs]

    def cpu(self, whose: str) -> list[float]:
        """Microseconds an event of `worker`, `postgres` or `engine`, less the start-up."""
        start = median(getattr(e.idle, whose) for e in self.e)
        return [1e6 * (getattr(e.run, whose) - start) / self.options.events for e in self.e]

    @property
    def ratio(self) -> list[float]:
        """E/B of each repetition."""
        return [e.rate / b for e, b in zip(self.e, self.bound, strict=True)]

    def figures(self) -> dict[str, BenchFigure]:
        """By key, in the order in which they are shown; none before a repetition is complete."""
        return self._rates() | self._costs() | self._times() if self.e else {}

    def _rates(self) -> dict[str, BenchFigure]:
        senders = {
            f"s_{n}": (f"S with {counted(n, 'sender')}", [rates[n] for rates in self.s]) for n in self.s[0]
        }
        rates = {
            "s": ("S: sink alone", self.sink),
            **senders,
            "p": ("P: claim and settle alone", [p.rate for p in self.p]),
            "b": ("B: bound", self.bound),
            "e": ("E: worker, end to end", [e.rate for e in self.e]),
        }
        figures = {key: BenchFigure(name, "events/s", values) for key, (name, values) in rates.items()}
        return figures | {"ratio": BenchFigure("E/B", "", self.ratio, digits=2)}

    def _costs(self) -> dict[str, BenchFigure]:
        known = {server: name for server, name in SERVER_CPU.items() if server in self.known}
        return {
            f"{whose}_cpu": BenchFigure(name, "us/event", self.cpu(whose), digits=1)
            for whose, name in {"worker": "worker CPU", **known}.items()
        }

    def _times(self) -> dict[str, BenchFigure]:
        times = {
            "claim": ("a claim", [p.median_claim for p in self.p]),
            "longest_claim": ("longest claim", [p.longest_claim for p in self.p]),
            "settle": ("a settle", [p.median_settle for p in self.p]),
        }
        figures = {key: BenchFigure(name, "ms", values, digits=1) for key, (name, values) in times.items()}
        figures["memory"] = BenchFigure("worker memory", "MB", [e.run.rss for e in self.e])
        if self.others:
            figures["others"] = BenchFigure("cores taken by others", "", self.others, digits=2)
        return figures
