"""One run: warm up, search the best of several cells, then measure S, P and E in each repetition."""

import timeit
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from outboxctl.drills.bench import lanes, process, sink
from outboxctl.drills.bench.machine import OtherProcesses
from outboxctl.drills.bench.measured import BenchOptions, Cell, Measured
from outboxctl.drills.bench.rig import SERVERS, Rig
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

    def repeat(self, cell: Cell, into: Measured, label: str) -> None:
        """S, P and E once; kept only when all three are there."""
        rig, events = self.rig.tuned(**asdict(cell)), self.options.events
        self.progress(f"{label}: S, the sink alone")
        rates = sink.limit(rig, self.requests, events)
        self.progress(f"{label}: P, claim and settle alone")
        drained = lanes.drain(rig, events, self.text)
        self.progress(f"{label}: E, the worker end to end")
        end_to_end = process.end_to_end(rig, events, self.text, settle_ms=drained.median_settle)
        into.s.append(rates)
        into.p.append(drained)
        into.e.append(end_to_end)


def _measure(bench: Bench, into: Measured) -> None:
    rig, options, events = bench.rig, bench.options, bench.options.events
    bench.progress("warm-up")
    bench.text = sink.text_of(rig, options.bytes)
    bench.requests = sink.bodies(rig, events, bench.text, options.request_size)
    into.line = sum(map(len, bench.requests)) // events
    documents = min(sink.WARM_UP, WARM_UP_ROUNDS * events)
    sink.warm_up(rig, bench.requests, events, documents=documents, within=WARM_UP_SECONDS)
    into.trips = _round_trips(rig)
    into.best = best = _search(bench, into) if options.searching else options.cells[0]
    bench.repeat(best, Measured(options, into.shared, into.known), "warm-up")
    others = OtherProcesses(rig)
    for number in range(1, options.repeat + 1):
        bench.repeat(best, into, f"{number} of {options.repeat}")
        if set(SERVERS) <= set(into.known):  # else the servers would count as other processes
            into.others.append(others.cores())


def _search(bench: Bench, into: Measured) -> Cell:
    """E of every cell, in turns: what disturbs the machine for a while disturbs all of them."""
    events, text, repeat = bench.options.events, bench.text, bench.options.repeat
    rigs = {cell: bench.rig.tuned(**asdict(cell)) for cell in bench.options.cells}
    into.matrix = {cell: [] for cell in rigs}
    settles = {}
    for cell, rig in rigs.items():
        bench.progress(f"search, settles: {cell}")
        settles[cell] = lanes.drain(rig, events, text).median_settle
    for number in range(1, repeat + 1):
        for cell, rig in rigs.items():
            bench.progress(f"search {number} of {repeat}: {cell}")
            rate, _ = process.fill_and_drain(rig, events, text, settle_ms=settles[cell])
            into.matrix[cell].append(rate)
    return into.choose()


def _round_trips(rig: Rig) -> dict[str, float]:
    """Milliseconds of the smallest request to `postgres` and `engine`; medians."""
    with rig.database.begin() as connection:
        postgres = timeit.repeat(lambda: connection.exec_driver_sql("SELECT 1"), number=1, repeat=TRIPS)
    name = rig.settings.elastic_index
    engine = timeit.repeat(lambda: index_setup.exists(rig.client, name), number=1, repeat=TRIPS)
    return {"postgres": 1_000 * median(postgres), "engine": 1_000 * median(engine)}
