"""Whether a worker keeps up with a steady stream; and its memory beside a backlog that never ends."""

import threading
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from statistics import linear_regression
from time import monotonic, perf_counter, sleep, time

import psutil

from benchmarks import rows
from benchmarks.command import collected, filled, say
from benchmarks.processes import serving, wait_done
from benchmarks.report import Section
from outboxctl.core.database import Database
from outboxctl.drills.bench import lanes, process, sink, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.process import PATIENCE
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect

COMMIT = 100
NOTES = f"""\
- Lag and rate: a real `outboxctl worker` process that was already running; a writer in a process of its
  own updates entities, {COMMIT} to a transaction, as fast as it can. Lag is the time from its last commit to
  the last settle (the newest `processed_at`).
- Claims are timed from taking a connection to the commit, in the product's lanes in one process, real
  sink, beside the same writer (new entities).
- Before each, the table of events is filled, drained, emptied by DELETE and vacuumed.
"""
SIZES = {"small": 200, "large": 20_000}  # bytes of text
IDLE = 0.5  # minutes with nothing to do
MINUTE = 60
ENTITIES = 20_000  # a batch has a thousand different ones, and the table of rows stays small
INTERVAL = 5.0  # seconds between two counts of what is done
MEMORY_NOTES = """\
- A real `outboxctl worker` with its default settings; its resident memory (RSS) each second, in MB of 10^6.
- Small and large: 200 and 20,000 bytes of text a source row; its other columns add some 370 bytes of JSON.
- The backlog: whenever half of the events are done they are made pending again, by SQL.
- Growth: the most of the last minute over the most of the first, which holds the start. The slope is that of
  a straight line through everything after the first minute.
"""
AGAIN = """
UPDATE {events} SET status = 'pending', attempts = 0, processed_at = NULL, updated_at = now()
WHERE status = 'done'
"""
LAG = "lag when the writer ends"
FIGURES = (
    BenchFigure(LAG, "s", [], digits=2),
    BenchFigure("the writer alone", "events/s", []),
    BenchFigure("writer and worker", "events/s", []),
    BenchFigure("claim", "ms", [], digits=1),
    BenchFigure("longest claim", "ms", [], digits=1),
)


def run(rig: Rig, args: Namespace) -> Section:
    """The worker's lag, then the lanes' claims, a repetition after the other."""
    text = sink.text_of(rig, args.bytes)

    def both(_number: int) -> dict[str, float]:
        return beside_a_worker(rig, args.events, text) | _beside_lanes(rig, args.events, text)

    figures = filled(FIGURES, collected(rig, args.repeat, both))
    size, repeat = f"documents of {args.bytes} bytes of JSON", f"{args.repeat} repetitions"
    about = f"{args.events:,} updates, {COMMIT} to a commit, {size}, {repeat}."
    return Section("Stream", about, figures, NOTES)


def beside_a_worker(rig: Rig, events: int, text: int) -> dict[str, float]:
    """Update every entity beside a worker that has already delivered an event."""
    tables.pending(rig, events, text)
    process.drain(rig)
    rows.empty(rig)
    rig.checkpoint()
    with serving(rig):
        rows.burst(rig, 1)
        wait_done(rig, 1)
        began, ended = _written(rig, events, text)
        wait_done(rig, events + 1)
    last = tables.last_settle(rig)
    rates = {"the writer alone": events / (ended - began), "writer and worker": events / (last - began)}
    return {LAG: last - ended, **rates}


def _beside_lanes(rig: Rig, events: int, text: int) -> dict[str, float]:
    """New entities beside the lanes, on tables that were used, emptied and vacuumed."""
    lanes.drain(rig, events, text)
    rows.execute(rig, "DELETE FROM {events}; DELETE FROM {source}")
    tables.flush(rig)
    with closing(connect(rig.settings)) as client:
        with lanes.running(rig, ElasticSink(client, rig.settings.elastic_index), drain=False) as times:
            started = perf_counter()
            _written(rig, events, text)
            wait_done(rig, events)
        drained = lanes.result(rig, times, events, perf_counter() - started)
    return {"claim": drained.median_claim, "longest claim": drained.longest_claim}


def _written(rig: Rig, events: int, text: int) -> tuple[float, float]:
    """When another process began its first transaction, and when its last one had committed."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_write, rig.settings.require_database_url(), events, text).result(PATIENCE)


def _write(url: str, events: int, text: int) -> tuple[float, float]:
    with closing(Database(url)) as database:
        with database.begin():
            began = time()
        tables.write(database, events, text, COMMIT)  # the same seed: the entities that exist, if any
        return began, time()


def memory(rig: Rig, args: Namespace) -> Section:
    """An idle worker, then one for each size of documents."""
    tables.reset(rig)
    figures = [BenchFigure("peak, nothing to do", "MB", [max(_watch(rig, IDLE))])]
    for name, size in SIZES.items():
        say(f"{args.events:,} pending events, {name} documents")
        rows.entities(rig, ENTITIES, size)
        rows.burst(rig, ENTITIES, rounds=max(1, args.events // ENTITIES))
        tables.flush(rig)
        with _refilled(rig, args.events):
            figures += _figures(name, _watch(rig, args.minutes))
    about = f"{args.events:,} pending events, {args.minutes:g} minutes for each size of documents."
    return Section("Memory", about, figures, MEMORY_NOTES)


def _figures(name: str, rss: list[float]) -> list[BenchFigure]:
    first, last, later = rss[:MINUTE], rss[-MINUTE:], rss[MINUTE:] if len(rss) > 2 * MINUTE else rss
    slope = MINUTE * linear_regression(range(len(later)), later).slope
    return [
        BenchFigure(f"peak, {name}", "MB", [max(rss)]),
        BenchFigure(f"first minute, {name}", "MB", first),
        BenchFigure(f"last minute, {name}", "MB", last),
        BenchFigure(f"growth, {name}", "", [max(last) / max(first)], digits=2),
        BenchFigure(f"slope, {name}", "MB/min", [slope], digits=2),
    ]


def _watch(rig: Rig, minutes: float) -> list[float]:
    """Resident memory of a worker at each second of so many minutes, in MB."""
    rss: list[float] = []
    with serving(rig) as worker:
        watched, end = psutil.Process(worker.pid), monotonic() + MINUTE * minutes
        while monotonic() < end:
            sleep(1)
            must(worker.poll() is None, "the worker has ended")
            rss.append(watched.memory_info().rss / 1e6)
            if len(rss) % MINUTE == 0:
                say(f"{rss[-1]:.0f} MB, at most {max(rss):.0f}")
    must(worker.returncode == 0, f"the worker exited with {worker.returncode}")
    return rss


@contextmanager
def _refilled(rig: Rig, events: int) -> Iterator[None]:
    """Meanwhile what is done becomes pending again whenever half of it is."""
    ended = threading.Event()

    def refill() -> None:
        while not ended.wait(INTERVAL):
            if tables.done(rig) > events / 2:
                rows.execute(rig, AGAIN)

    with ThreadPoolExecutor(1) as pool:
        refilling = pool.submit(refill)
        try:
            yield
        finally:
            ended.set()
        refilling.result()
