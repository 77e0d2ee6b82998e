"""One, two and four workers on a real sink and on a null sink; and what spans cost a worker."""

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from time import perf_counter, process_time
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks import rows
from benchmarks.command import ratios, repeated
from benchmarks.report import Section
from benchmarks.schema import WAL_BYTES
from outboxctl.core.database import Database
from outboxctl.drills.bench import sink, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.lanes import NullSink, running
from outboxctl.drills.bench.process import PATIENCE
from outboxctl.drills.bench.rig import SERVERS, Rig, must
from outboxctl.settings import Settings
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect
from outboxctl.worker.spans import Spans
from outboxctl.worker.tracing import Tracing

ROUNDS = 2  # events an entity: twice as many events, since two workers end soon
NOTES = """\
- Each worker is a process of its own with the product's lanes; all begin together, and the clock runs from
  there to the end of the last. Their start-up is not in it.
- Null sink: accepts everything at once. With one lane a worker uses about one core; with the default
  lanes one worker may already use nearly all cores, and then two cannot be much faster. "Cores used" shows
  it: the most that more workers can bring is all cores over those that one and its PostgreSQL used.
"""
TRACING_NOTES = """\
- CPU of the worker's process alone: the product's lanes with a sink that accepts everything at once. Every
  event has a trace of its own, the worst case; spans are batched and thrown away, not sent.
- Off and on by turns, the other way round each time; the ratio is that of each pair.
"""
TRACED = """
UPDATE {events} SET traceparent = '00-' || md5(id::text) || '-' || left(md5(entity_id::text), 16) || '-01'
"""


@dataclass(frozen=True)
class Variant:
    """So many workers, with the real sink or a null sink; 0 lanes: those of the rig."""

    name: str
    workers: int = 1
    real: bool = True
    lanes: int = 0

    def __str__(self) -> str:
        return self.name


class WorkersRun(NamedTuple):
    """Events a second, seconds by the clock, CPU seconds of the workers and of each server, bytes of WAL."""

    rate: float
    wall: float
    cpu: Mapping[str, float]
    wal: float

    @property
    def cores(self) -> float:
        """How many cores the workers and PostgreSQL used."""
        return (self.cpu["worker"] + self.cpu["postgres"]) / self.wall


VARIANTS = [
    Variant("Elasticsearch, one"),
    Variant("Elasticsearch, two", 2),
    Variant("Elasticsearch, four", 4),
    Variant("null sink, one", real=False),
    Variant("null sink, two", 2, real=False),
    Variant("null sink, one, one lane", real=False, lanes=1),
    Variant("null sink, two, one lane", 2, real=False, lanes=1),
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
    left = [(os.cpu_count() or 1) / used for used in cores["null sink, one"]]
    figures = [
        *(BenchFigure(name, "events/s", values) for name, values in rates.items()),
        *(
            BenchFigure(name, "", ratios(rates[more], rates[one]), at_least=True, digits=2)
            for name, (more, one) in PAIRS.items()
        ),
        *(BenchFigure(f"{name}: cores used", "", values, digits=2) for name, values in cores.items()),
        BenchFigure("null sink, the most that more workers can bring", "", left, digits=2),
    ]
    about = f"{ROUNDS * args.events:,} events, {args.repeat} repetitions, {rig.settings.concurrency} lanes."
    return Section("Workers", about, figures, NOTES)


def measure(rig: Rig, variant: Variant, entities: int) -> WorkersRun:
    """Fill and drain once; from the common start of the workers to the end of the last one."""
    rows.execute(rig, rows.TRUNCATE)
    rows.burst(rig, entities, rounds=ROUNDS)
    tables.fresh_index(rig)
    rig.checkpoint()
    settings = rig.settings.model_copy(update={"concurrency": variant.lanes or rig.settings.concurrency})
    context, work = get_context("spawn"), (settings, variant.real)
    with context.Manager() as manager, ProcessPoolExecutor(variant.workers, mp_context=context) as pool:
        start = manager.Barrier(variant.workers + 1)
        runs = [pool.submit(_work, start, *work) for _ in range(variant.workers)]
        start.wait(PATIENCE)
        before = {server: rig.cpu_seconds(server) for server in SERVERS}
        wal = tables.number(rig, WAL_BYTES)
        begun, ended, cpu = zip(*(run.result(PATIENCE) for run in runs), strict=True)
        spent = {server: rig.cpu_seconds(server) - before[server] for server in SERVERS}
        wal = tables.number(rig, WAL_BYTES) - wal
    events = entities * ROUNDS
    must(tables.done(rig) == events, "not every event is done")
    wall = max(ended) - min(begun)
    return WorkersRun(events / wall, wall, {"worker": sum(cpu), **spent}, wal)


def _work(start: Barrier, settings: Settings, real: bool) -> tuple[float, float, float]:
    """When a worker began and ended, and its CPU seconds."""
    database = Database(settings.require_database_url())
    with closing(connect(settings)) as client, closing(database):
        sink = ElasticSink(client, settings.elastic_index) if real else NullSink()
        start.wait(PATIENCE)
        began, cpu = perf_counter(), process_time()  # this clock is the same for all processes
        with running(Rig(settings, database, client, Path()), sink, drain=True):
            pass
        return began, perf_counter(), process_time() - cpu


class NullExporter(SpanExporter):
    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def tracing(rig: Rig, args: Namespace) -> Section:
    """Off and on in turns."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(NullExporter()))
    trace.set_tracer_provider(provider)
    kinds = {"off": Tracing(), "on": Spans(rig.settings)}
    rows.entities(rig, args.events, 600)

    def cpu_of(name: str) -> float:
        return _microseconds(rig, args.events, kinds[name])

    cpu = repeated(kinds, args.repeat, cpu_of, "us an event", warm_up=True)
    figures = [BenchFigure(f"CPU an event, {name}", "us", values, digits=2) for name, values in cpu.items()]
    figures.append(BenchFigure("on/off", "", ratios(cpu["on"], cpu["off"]), digits=2))
    about = f"{args.events:,} events each time, {args.repeat} repetitions."
    return Section("Tracing", about, figures, TRACING_NOTES)


def _microseconds(rig: Rig, events: int, kind: Tracing) -> float:
    """CPU an event of this process."""
    rows.execute(rig, rows.TRUNCATE)
    rows.burst(rig, events)
    rows.execute(rig, TRACED)
    begun = process_time()
    with running(rig, NullSink(), drain=True, tracing=kind):
        pass
    seconds = process_time() - begun
    must(tables.done(rig) == events, "not every event is done")
    return seconds / events * 1e6
