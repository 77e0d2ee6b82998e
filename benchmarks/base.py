"""S, P, B and E in turns on the same servers: the base of everything else. Draws docs/performance.svg."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from benchmarks import processes
from benchmarks.command import OTHERS, ratios, say
from benchmarks.report import Section
from outboxctl.drills.bench import process, sink, tables
from outboxctl.drills.bench.figure import BenchFigure, picture
from outboxctl.drills.bench.measured import BenchOptions, Cell, Measured
from outboxctl.drills.bench.report import COSTS, DRAWN
from outboxctl.drills.bench.rig import Rig
from outboxctl.drills.bench.run import measure

TITLE = "Pipeline"
RUNS = 7  # of the start of a command
PICTURE = Path(__file__).parents[1] / "docs" / "performance.svg"
PICTURE_TITLE = "What both ends can do, and what the worker does with them"
RATES = {
    "s": "S: sink alone",
    "p": "P: claim and settle",
    "b": "B: bound",
    "e": "E: end to end",
    "ratio": "E/B",
}
CPU = {"worker_cpu": "worker CPU", "postgres_cpu": "PostgreSQL CPU", "engine_cpu": "Elasticsearch CPU"}
NOTES = """\
- S, P, B and E are explained in docs/performance.md. S sends 1,000 documents a request, from memory, and is
  the best of 1, 2 and 3 sending threads. E/B above 1 means that P or S alone left a core idle, or that
  others took cores from them.
- E: a real `outboxctl worker --drain` process, from its line "worker started" to its last settle (the
  newest `processed_at`, plus the median duration of a settle in P).
- Its start within E: from the same line to the settle of a single event, with what is loaded for it.
- CPU an event: user and system time of the whole process, or of the server with its children, less the
  median of what the same command takes for a single event. What a server does later (refresh, merges,
  checkpoint) is not in it. Its ratios are what `make bench-check` can compare on another machine.
- Claims are timed from taking a connection to the commit; these are P's.
- Before each measurement the tables are truncated, vacuumed and filled anew, the index is created anew,
  and PostgreSQL makes a checkpoint. 500,000 documents and one repetition beforehand do not count.
- "Cores taken by others": by processes that are no part of this; rates mean little unless it is near 0.
- The servers are a PostgreSQL and an Elasticsearch as `outboxctl services up` starts them (fsync on).
"""


def warm_up(rig: Rig, events: int, size: int) -> None:
    """Send 500,000 documents: before that the engine's own code is still being compiled."""
    say("warm-up")
    sink.warm_up(rig, sink.bodies(rig, events, sink.text_of(rig, size)), events)


def run(rig: Rig, args: Namespace) -> Section:
    """The repetitions, then what is measured once."""
    m = repeated(rig, args.base_events, args.bytes, args.repeat)
    say(f"a worker with {args.backlog:,} pending events")
    tables.pending(rig, args.backlog, sink.text_of(rig, args.bytes))
    backlog = process.drain(rig).rss
    say("commands from their start")
    figures = [
        *figures_of(m),
        BenchFigure("worker memory, backlog", "MB", [backlog], 150),
        BenchFigure("outboxctl --help", "ms", processes.help_ms(RUNS), 60),
        BenchFigure("start to first claim", "ms", processes.first_claim_ms(rig, RUNS)),
        BenchFigure("claim, backlog", "ms", [p.median_claim for p in m.p], digits=1),
        BenchFigure("longest claim, backlog", "ms", [p.longest_claim for p in m.p], 100, digits=1),
    ]
    size = f"{args.bytes} bytes of JSON ({m.line:,} with its line of the bulk request)"
    setting = f"{rig.settings.concurrency} lanes, {rig.settings.bulk_size:,} a batch"
    about = f"{args.base_events:,} events of {size}, {setting}, {args.repeat} repetitions."
    rates, costs = ({whose: named(m, key) for whose, key in drawn.items()} for drawn in (DRAWN, COSTS))
    PICTURE.write_text(picture(PICTURE_TITLE, rates, costs, [about]))
    return Section(TITLE, about, figures, NOTES)


def repeated(rig: Rig, events: int, size: int, repeat: int) -> Measured:
    """S, P and E `repeat` times, and once before that does not count."""
    cell = Cell(rig.settings.concurrency, rig.settings.bulk_size)
    measured = measure(rig, BenchOptions(events, size, repeat, [cell]), shared=True, progress=say)
    if measured.interrupted:
        raise KeyboardInterrupt
    return measured


def named(m: Measured, key: str) -> BenchFigure:
    """A figure of `outboxctl bench` under its name in RESULTS.json."""
    return replace(m.figures()[key], name=(RATES | CPU)[key], at_least=key == "ratio")


def figures_of(m: Measured) -> list[BenchFigure]:
    """What every repetition shows."""
    # Against the engine: 0 where a run was too short to cost it anything.
    pairs = {who: zip(m.cpu(who), m.cpu("engine"), strict=True) for who in ("worker", "postgres")}
    shares = {who: [own / e if e > 0 else 0.0 for own, e in pairs[who]] for who in pairs}
    return [
        *(named(m, key) for key in RATES),
        BenchFigure("B/S", "", ratios(m.bound, m.sink), at_least=True, digits=2),
        BenchFigure("whole process", "s", [e.run.wall for e in m.e], digits=2),
        BenchFigure("its start and stop", "s", [e.idle.wall for e in m.e], digits=2),
        BenchFigure("its start within E", "s", [e.start for e in m.e], digits=2),
        BenchFigure(OTHERS, "", m.others, digits=2),
        *(named(m, key) for key in CPU),
        BenchFigure("worker/Elasticsearch CPU", "", shares["worker"], digits=3),
        BenchFigure("PostgreSQL/Elasticsearch CPU", "", shares["postgres"], digits=3),
        BenchFigure("worker memory", "MB", [e.run.rss for e in m.e]),
    ]
