"""What spans cost a worker, on and off. About two minutes."""

from argparse import Namespace
from collections.abc import Sequence
from time import process_time

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks import rows
from benchmarks.command import ratios, repeated
from benchmarks.report import Section
from outboxctl.drills.bench import lanes, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.worker.spans import Spans
from outboxctl.worker.tracing import Tracing

NOTES = """\
- CPU of the worker's process alone: the product's lanes with a sink that accepts everything at once. Every
  event has a trace of its own, the worst case; spans are batched and thrown away, not sent.
- Off and on by turns, the other way round each time; the ratio is that of each pair.
"""
TRACED = """
UPDATE {events} SET traceparent = '00-' || md5(id::text) || '-' || left(md5(entity_id::text), 16) || '-01'
"""


class NullExporter(SpanExporter):
    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def run(rig: Rig, args: Namespace) -> Section:
    """Off and on in turns."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(NullExporter()))
    trace.set_tracer_provider(provider)
    kinds = {"off": Tracing(), "on": Spans(rig.settings)}
    rows.entities(rig, args.events, 600)
    cpu = repeated(
        kinds,
        args.repeat,
        lambda name: _microseconds(rig, args.events, kinds[name]),
        "us an event",
        warm_up=True,
    )
    figures = [BenchFigure(f"CPU an event, {name}", "us", values, digits=2) for name, values in cpu.items()]
    figures.append(BenchFigure("on/off", "", ratios(cpu["on"], cpu["off"]), digits=2))
    about = f"{args.events:,} events each time, {args.repeat} repetitions."
    return Section("Tracing", about, figures, NOTES)


def _microseconds(rig: Rig, events: int, tracing: Tracing) -> float:
    """CPU an event of this process."""
    rows.execute(rig, rows.TRUNCATE)
    rows.burst(rig, events)
    rows.execute(rig, TRACED)
    begun = process_time()
    with lanes.running(rig, lanes.NullSink(), drain=True, tracing=tracing):
        pass
    seconds = process_time() - begun
    must(tables.done(rig) == events, "not every event is done")
    return seconds / events * 1e6
