"""`python -m benchmarks.tracing`: what spans cost a worker, on and off. About two minutes."""

import argparse
from collections.abc import Sequence
from time import process_time

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from sqlalchemy import text

from benchmarks import report, rows
from benchmarks.servers import ending, say, started
from benchmarks.turns import ratios, turns
from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench import lanes
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.worker.spans import Spans
from outboxctl.worker.tracing import Tracing

TITLE = "Tracing"
NOTES = """\
- CPU of the worker's process alone: the product's lanes with a sink that takes everything at once. Every
  event has a trace of its own, the worst case; spans are batched and thrown away, not sent.
- Off and on by turns, the other way round each time; the ratio is that of each pair.
"""
TRACED = text(f"""
UPDATE {EVENTS} SET traceparent = '00-' || md5(id::text) || '-' || left(md5(entity_id::text), 16) || '-01'
""")


class Nowhere(SpanExporter):
    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracing", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="that are delivered each time")
    parser.add_argument("--repeat", type=int, default=7)
    given = parser.parse_args()
    with ending(), started() as rig:
        print(_benchmark(rig, given))


def _benchmark(rig: Rig, given: argparse.Namespace) -> str:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    kinds = {"off": Tracing(), "on": Spans(rig.settings)}
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    rows.entities(rig, given.events, 600)
    for number in range(given.repeat + 1):  # the first warms up
        for name in turns(list(kinds), number):
            microseconds = _spent(rig, given.events, kinds[name])
            say(f"repetition {number} of {given.repeat}, {name}: {microseconds:.2f} us an event")
            spent[name].extend([microseconds] if number else [])
    figures = [BenchFigure(f"CPU an event, {name}", "us", values, digits=2) for name, values in spent.items()]
    figures += [BenchFigure("on/off", "", ratios(spent["on"], spent["off"]), digits=2)]
    command = report.command("benchmarks.tracing", vars(given))
    about = f"{given.events:,} events each time, {given.repeat} repetitions."
    on = surroundings(rig.versions)
    return report.write_section(TITLE, command=command, about=about, on=on, figures=figures, notes=NOTES)


def _spent(rig: Rig, events: int, tracing: Tracing) -> float:
    rows.truncate(rig)
    rows.burst(rig, events)
    with rig.database.begin() as connection:
        connection.execute(TRACED)
    begun = process_time()
    with lanes.running(rig, lanes.NullSink(), drain=True, tracing=tracing):
        pass
    seconds = process_time() - begun
    with rig.database.begin() as connection:
        left = connection.execute(text(f"SELECT count(*) FROM {EVENTS} WHERE status <> 'done'")).scalar_one()
    must(left == 0, f"{left} events are not done")
    return seconds / events * 1e6


if __name__ == "__main__":
    main()
