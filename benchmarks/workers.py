"""One, two and four workers on a real sink and on a null sink; and lanes against batch sizes."""

import os
from argparse import Namespace
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from time import perf_counter, process_time

from benchmarks import rows
from benchmarks.command import ratios, repeated
from benchmarks.report import Section
from outboxctl.core.database import Database
from outboxctl.drills.bench import sink, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.lanes import NullSink, running
from outboxctl.drills.bench.process import PATIENCE
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.settings import Settings
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect

ROUNDS = 2  # events an entity: twice as many events, since two workers end soon
NOTES = """\
- Each worker is a process of its own with the product's lanes; all begin together, and the clock runs from
  there to the end of the last. Their start-up is not in it.
- Null sink: accepts everything at once. With one lane a worker uses about one core; with the default
  lanes one worker may already use nearly all cores, and then two cannot be much faster. "Cores used" shows
  it: the most that more workers can bring is all cores over those that one and its PostgreSQL used.
"""
MATRIX_NOTES = """\
- End to end by the product's lanes in a process of their own, real sink and fresh index, from the first
  claim to the last settle.
"""


@dataclass(frozen=True)
class Variant:
    """So many workers, with the real sink or a null sink; 0 lanes or events a batch: those of the rig."""

    name: str
    workers: int = 1
    real: bool = True
    lanes: int = 0
    batch: int = 0

    def __str__(self) -> str:
        return self.name

    def settings(self, base: Settings) -> Settings:
        lanes, batch = self.lanes or base.concurrency, self.batch or base.bulk_size
        return base.model_copy(update={"concurrency": lanes, "bulk_size": batch})


@dataclass(frozen=True)
class WorkersRun:
    """Events a second, and how many cores the workers and PostgreSQL used for it."""

    rate: float
    cores: float


VARIANTS = [
    Variant("Elasticsearch, one"),
    Variant("Elasticsearch, two", 2),
    Variant("Elasticsearch, four", 4),
    Variant("null sink, one", real=False),
    Variant("null sink, two", 2, real=False),
    Variant("null sink, one, one lane", real=False, lanes=1),
    Variant("null sink, two, one lane", 2, real=False, lanes=1),
]
CELLS = [
    Variant(f"{lanes} lanes, {batch:,} a batch", lanes=lanes, batch=batch)
    for lanes, batch in product((1, 2, 3, 4), (500, 1_000, 2_000))
]
PAIRS = {
    "Elasticsearch, two/one": ("Elasticsearch, two", "Elasticsearch, one"),
    "Elasticsearch, four/one": ("Elasticsearch, four", "Elasticsearch, one"),
    "null sink, two/one": ("null sink, two", "null sink, one"),
    "null sink, two/one, one lane": ("null sink, two, one lane", "null sink, one, one lane"),
}


def run(rig: Rig, args: Namespace) -> Section:
    """Every variant in turn, a repetition after the other."""
    cores: dict[str, list[float]] = {each.name: [] for each in VARIANTS if not each.real}

    def rate(variant: Variant) -> float:
        drained = measure(rig, variant, args.events)
        cores.get(variant.name, []).append(drained.cores)
        return drained.rate

    rows.entities(rig, args.events, sink.text_of(rig, args.bytes))
    rates = {v.name: values for v, values in repeated(VARIANTS, args.repeat, rate, "events/s").items()}
    about = f"{ROUNDS * args.events:,} events, {args.repeat} repetitions, {rig.settings.concurrency} lanes."
    return Section("Workers", about, _figures(rates, cores), NOTES)


def matrix(rig: Rig, args: Namespace) -> Section:
    """Lanes and batch sizes against each other: what the defaults rest on. Not part of the usual run."""
    rows.entities(rig, args.events, sink.text_of(rig, args.bytes))
    rates = repeated(
        CELLS, args.repeat, lambda cell: measure(rig, cell, args.events, rounds=1).rate, "events/s"
    )
    figures = [BenchFigure(cell.name, "events/s", values) for cell, values in rates.items()]
    about = f"{args.events:,} events, documents of {args.bytes} bytes of JSON, {args.repeat} repetitions."
    return Section("Settings", about, figures, MATRIX_NOTES)


def measure(rig: Rig, variant: Variant, entities: int, *, rounds: int = ROUNDS) -> WorkersRun:
    """Fill and drain once; from the common start of the workers to the end of the last one."""
    rows.truncate(rig)
    rows.burst(rig, entities, rounds=rounds)
    tables.fresh_index(rig)
    rig.checkpoint()
    context, pipes, workers = get_context("spawn"), [], []
    start = context.Barrier(variant.workers + 1)
    for _ in range(variant.workers):
        here, there = context.Pipe(duplex=False)
        pipes.append(here)
        work = (there, start, variant.settings(rig.settings), variant.real)
        workers.append(context.Process(target=_work, args=work, daemon=True))
        workers[-1].start()
    start.wait(PATIENCE)
    before = rig.spent("postgres")
    must(all(pipe.poll(PATIENCE) for pipe in pipes), "a worker did not end")
    begun, ended, cpu = zip(*(pipe.recv() for pipe in pipes), strict=True)
    for worker in workers:
        worker.join(PATIENCE)
    events = entities * rounds
    must(tables.done(rig) == events, "not every event is done")
    wall = max(ended) - min(begun)
    return WorkersRun(events / wall, (sum(cpu) + rig.spent("postgres") - before) / wall)


def _work(answer: Connection, start: Barrier, settings: Settings, real: bool) -> None:
    database = Database(settings.require_database_url())
    with closing(connect(settings)) as client, closing(database):
        sink = ElasticSink(client, settings.elastic_index) if real else NullSink()
        start.wait(PATIENCE)
        began, cpu = perf_counter(), process_time()  # this clock is the same for all processes
        with running(Rig(settings, database, client, Path()), sink, drain=True):
            pass
        answer.send((began, perf_counter(), process_time() - cpu))


def _figures(rates: dict[str, list[float]], cores: dict[str, list[float]]) -> list[BenchFigure]:
    """The rates, their ratios, and what one worker and its PostgreSQL leave of the cores."""
    left = [(os.cpu_count() or 1) / used for used in cores["null sink, one"]]
    return [
        *(BenchFigure(name, "events/s", values) for name, values in rates.items()),
        *(
            BenchFigure(name, "", ratios(rates[more], rates[one]), at_least=True, digits=2)
            for name, (more, one) in PAIRS.items()
        ),
        *(BenchFigure(f"{name}: cores used", "", values, digits=2) for name, values in cores.items()),
        BenchFigure("null sink, the most that more workers can bring", "", left, digits=2),
    ]
