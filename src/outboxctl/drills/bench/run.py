"""One run: warm up, find the best setting if there is a choice, then S, P and E again and again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from outboxctl.drills.bench import pipeline, sink, store
from outboxctl.drills.bench.measured import Measured
from outboxctl.drills.bench.neighbours import Neighbours
from outboxctl.drills.bench.options import BenchOptions, Cell
from outboxctl.drills.bench.rig import Rig
from outboxctl.sink.index import index_setup

Tell = Callable[[str], None]
WARM_UP_SECONDS, WARM_UP_ROUNDS = 10.0, 10
TRIPS = 20


def measure(rig: Rig, given: BenchOptions, *, shared: bool, tell: Tell) -> Measured:
    """Measure; `tell` hears of each of `given.steps` before it begins.

    A KeyboardInterrupt ends it early: what was measured is returned, or it is raised if that is nothing.
    Raises OutboxctlError where a measurement is void or an end is away.
    """
    measured = Measured(given, shared, sorted(rig.cpu))
    try:
        _measure(Bench(rig, given, tell), measured)
    except KeyboardInterrupt:
        measured.interrupted = True
        if not measured.something:
            raise
    return measured


@dataclass
class Bench:
    """A run under way; `text` makes documents of the wanted size."""

    rig: Rig
    given: BenchOptions
    tell: Tell
    text: int = 0
    requests: Sequence[bytes] = ()

    def prepare(self) -> int:
        """Make the requests and warm up; returns the bytes of a document with its line."""
        self.tell("warm-up")
        line, events = self.load(), self.given.events
        documents = min(sink.WARM_UP, WARM_UP_ROUNDS * events)
        sink.warm_up(self.rig, self.requests, events, documents=documents, within=WARM_UP_SECONDS)
        return line

    def load(self) -> int:
        """Make the requests that S sends; returns the bytes of a document with its line."""
        self.text = sink.text_of(self.rig, self.given.bytes)
        self.requests = sink.bodies(self.rig, self.given.events, self.text, self.given.a_request)
        return sum(map(len, self.requests)) // self.given.events

    def look(self, cell: Cell, settle_ms: float, label: str) -> float:
        """E of one cell."""
        self.tell(f"{label}: {cell}")
        return pipeline.once(self._tuned(cell), self.given.events, self.text, settle_ms=settle_ms)[0]

    def settle(self, cell: Cell) -> float:
        """Milliseconds of a settle in a cell."""
        self.tell(f"search, settles: {cell}")
        return store.drain(self._tuned(cell), self.given.events, self.text).median_settle

    def repeat(self, cell: Cell, into: Measured, label: str) -> None:
        """S, P and E once; kept only when all three are there."""
        self.tell(f"{label}: S, the sink alone")
        rates = sink.limit(self.rig, self.requests, self.given.events)
        self.tell(f"{label}: P, claim and settle alone")
        drained = store.drain(self._tuned(cell), self.given.events, self.text)
        self.tell(f"{label}: E, the worker end to end")
        settle = drained.median_settle
        end = pipeline.drain(self._tuned(cell), self.given.events, self.text, settle_ms=settle)
        into.s.append(rates)
        into.p.append(drained)
        into.e.append(end)

    def _tuned(self, cell: Cell) -> Rig:
        return self.rig.tuned(concurrency=cell.concurrency, bulk_size=cell.bulk_size)


def _measure(bench: Bench, into: Measured) -> None:
    given = bench.given
    into.line, into.trips = bench.prepare(), round_trips(bench.rig)
    into.best = best = _search(bench, into) if given.searching else given.cells[0]
    bench.repeat(best, Measured(given, into.shared, into.known), "warm-up")
    seen = {"postgres", "engine"} <= set(into.known)
    neighbours = Neighbours(bench.rig)
    for number in range(1, given.repeat + 1):
        bench.repeat(best, into, f"{number} of {given.repeat}")
        if seen:  # else it would take the servers for somebody else's
            into.others.append(neighbours.cores())


def _search(bench: Bench, into: Measured) -> Cell:
    """E of every cell, interleaved: what disturbs the machine for a while disturbs all of them."""
    cells = into.given.cells
    settles = {cell: bench.settle(cell) for cell in cells}
    into.matrix = {cell: [] for cell in cells}
    for number in range(1, into.given.repeat + 1):
        for cell in cells:
            into.matrix[cell].append(
                bench.look(cell, settles[cell], f"search {number} of {into.given.repeat}")
            )
    return into.choose()


def round_trips(rig: Rig) -> dict[str, float]:
    """Milliseconds of the smallest question to `postgres` and `engine`; medians."""
    with rig.database.begin() as connection:
        postgres = [_timed(lambda: connection.exec_driver_sql("SELECT 1")) for _ in range(TRIPS)]
    name = rig.settings.elastic_index
    engine = [_timed(lambda: index_setup.exists(rig.client, name)) for _ in range(TRIPS)]
    return {"postgres": 1_000 * median(postgres), "engine": 1_000 * median(engine)}


def _timed(ask: Callable[[], object]) -> float:
    began = perf_counter()
    ask()
    return perf_counter() - began
