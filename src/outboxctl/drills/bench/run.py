"""One run: warm up, search the best of several cells, then measure S, P and E in each repetition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from outboxctl.drills.bench import pipeline, sink, store
from outboxctl.drills.bench.machine import Neighbours
from outboxctl.drills.bench.measured import Measured
from outboxctl.drills.bench.options import BenchOptions, Cell
from outboxctl.drills.bench.rig import Rig
from outboxctl.sink.index import index_setup

Progress = Callable[[str], None]
WARM_UP_SECONDS, WARM_UP_ROUNDS = 10.0, 10
TRIPS = 20


def measure(rig: Rig, options: BenchOptions, *, shared: bool, progress: Progress) -> Measured:
    """Measure; `progress` is called with the name of each of `options.steps` before it begins.

    A KeyboardInterrupt ends it early: what was measured is returned, or it is raised if that is nothing.
    Raises OutboxctlError where a measurement is void or a server cannot be reached.
    """
    measured = Measured(options, shared, sorted(rig.cpu))
    try:
        _measure(Bench(rig, options, progress), measured)
    except KeyboardInterrupt:
        measured.interrupted = True
        if not measured.has_values:
            raise
    return measured


@dataclass
class Bench:
    """A run under way; `text` is the bytes of text that make documents of the requested size."""

    rig: Rig
    options: BenchOptions
    progress: Progress
    text: int = 0
    requests: Sequence[bytes] = ()

    def prepare(self) -> int:
        """Make the requests and warm up; returns the bytes of a document with its line."""
        self.progress("warm-up")
        line, events = self.load(), self.options.events
        documents = min(sink.WARM_UP, WARM_UP_ROUNDS * events)
        sink.warm_up(self.rig, self.requests, events, documents=documents, within=WARM_UP_SECONDS)
        return line

    def load(self) -> int:
        """Make the requests that S sends; returns the bytes of a document with its line."""
        self.text = sink.text_of(self.rig, self.options.bytes)
        self.requests = sink.bodies(self.rig, self.options.events, self.text, self.options.request_size)
        return sum(map(len, self.requests)) // self.options.events

    def rate(self, cell: Cell, settle_ms: float, label: str) -> float:
        """E of one cell, in events a second."""
        self.progress(f"{label}: {cell}")
        return pipeline.once(self._tuned(cell), self.options.events, self.text, settle_ms=settle_ms)[0]

    def settle_ms(self, cell: Cell) -> float:
        """Milliseconds of a settle in a cell."""
        self.progress(f"search, settles: {cell}")
        return store.drain(self._tuned(cell), self.options.events, self.text).median_settle

    def repeat(self, cell: Cell, into: Measured, label: str) -> None:
        """S, P and E once; kept only when all three are there."""
        self.progress(f"{label}: S, the sink alone")
        rates = sink.limit(self.rig, self.requests, self.options.events)
        self.progress(f"{label}: P, claim and settle alone")
        drained = store.drain(self._tuned(cell), self.options.events, self.text)
        self.progress(f"{label}: E, the worker end to end")
        settle = drained.median_settle
        end = pipeline.drain(self._tuned(cell), self.options.events, self.text, settle_ms=settle)
        into.s.append(rates)
        into.p.append(drained)
        into.e.append(end)

    def _tuned(self, cell: Cell) -> Rig:
        return self.rig.tuned(concurrency=cell.concurrency, bulk_size=cell.bulk_size)


def _measure(bench: Bench, into: Measured) -> None:
    options = bench.options
    into.line, into.trips = bench.prepare(), round_trips(bench.rig)
    into.best = best = _search(bench, into) if options.searching else options.cells[0]
    bench.repeat(best, Measured(options, into.shared, into.known), "warm-up")
    known = {"postgres", "engine"} <= set(into.known)
    neighbours = Neighbours(bench.rig)
    for number in range(1, options.repeat + 1):
        bench.repeat(best, into, f"{number} of {options.repeat}")
        if known:  # else the servers would count as other processes
            into.others.append(neighbours.cores())


def _search(bench: Bench, into: Measured) -> Cell:
    """E of every cell, in turns: what disturbs the machine for a while disturbs all of them."""
    cells = into.options.cells
    settles = {cell: bench.settle_ms(cell) for cell in cells}
    into.matrix = {cell: [] for cell in cells}
    for number in range(1, into.options.repeat + 1):
        for cell in cells:
            into.matrix[cell].append(
                bench.rate(cell, settles[cell], f"search {number} of {into.options.repeat}")
            )
    return into.choose()


def round_trips(rig: Rig) -> dict[str, float]:
    """Milliseconds of the smallest request to `postgres` and `engine`; medians."""
    with rig.database.begin() as connection:
        postgres = [_timed(lambda: connection.exec_driver_sql("SELECT 1")) for _ in range(TRIPS)]
    name = rig.settings.elastic_index
    engine = [_timed(lambda: index_setup.exists(rig.client, name)) for _ in range(TRIPS)]
    return {"postgres": 1_000 * median(postgres), "engine": 1_000 * median(engine)}


def _timed(request: Callable[[], object]) -> float:
    began = perf_counter()
    request()
    return perf_counter() - began
