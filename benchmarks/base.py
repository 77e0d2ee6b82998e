"""S, P, B and E in turns on the same servers: the base of everything else. Draws docs/performance.svg."""

from argparse import Namespace
from pathlib import Path

from benchmarks import processes
from benchmarks.command import OTHERS, ratios, say
from benchmarks.report import Section
from outboxctl.drills.bench import process, sink, tables
from outboxctl.drills.bench.figure import BenchFigure, picture
from outboxctl.drills.bench.machine import OtherProcesses
from outboxctl.drills.bench.measured import BenchOptions, Cell, Measured
from outboxctl.drills.bench.rig import Rig
from outboxctl.drills.bench.run import Bench

TITLE = "Pipeline"
RUNS = 7  # of the start of a command
SERVERS = {"postgres": "PostgreSQL CPU", "engine": "Elasticsearch CPU"}
PICTURE = Path(__file__).parents[1] / "docs" / "performance.svg"
PICTURE_TITLE = "What both ends can do, and what the worker does with them"
RATES = {
    "engine": "S: sink alone",
    "postgres": "P: claim and settle",
    "bound": "B: bound",
    "worker": "E: end to end",
}
COSTS = {"worker": "worker CPU", **SERVERS}
NOTES = """\
- S: the sink's own limit. The very bulk bodies of the worker, from memory, 1,000 documents a request,
  into a fresh index; the best of 1, 2 and 3 sending threads.
- P: claim and settle by the product's lanes with a sink that accepts everything at once.
- B = 1/(1/P + 1/S): the bound where worker, PostgreSQL and engine share the cores.
  E/B above 1 means that P or S alone left a core idle, or that others took cores from them.
- E: a real `outboxctl worker --drain` process, from its line "worker started" to its last settle (the
  newest `processed_at`, plus the median duration of a settle in P).
- Its start within E: from the same line to the settle of a single event. What is loaded for the first
  batch is in there, and so in E.
- CPU an event: user and system time of the whole process, or of the server with its children, less the
  median of what the same command takes for a single event. What a server does later (refresh, merges,
  checkpoint) is not in it. Its ratios are what `make bench-check` can compare on another machine.
- Claims are timed from taking a connection to the commit; these are P's.
- Before each measurement the tables are truncated, vacuumed and filled anew, the index is created anew,
  and PostgreSQL makes a checkpoint. 500,000 documents and one repetition beforehand warm up and are
  thrown away.
- "Cores taken by others" is what processes that are no part of this used meanwhile; rates mean little
  unless it is near 0.
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
        BenchFigure("outboxctl --help", "ms", processes.help_ms(RUNS), 300),
        BenchFigure("start to first claim", "ms", processes.first_claim_ms(rig, RUNS)),
        BenchFigure("claim, backlog", "ms", [p.median_claim for p in m.p], digits=1),
        BenchFigure("longest claim, backlog", "ms", [p.longest_claim for p in m.p], 100, digits=1),
    ]
    size = f"{args.bytes} bytes of JSON ({m.line:,} with its line of the bulk request)"
    setting = f"{rig.settings.concurrency} lanes, {rig.settings.bulk_size:,} a batch"
    about = f"{args.base_events:,} events of {size}, {setting}, {args.repeat} repetitions."
    by_name = {figure.name: figure for figure in figures}
    rates, costs = ({key: by_name[name] for key, name in drawn.items()} for drawn in (RATES, COSTS))
    PICTURE.write_text(picture(PICTURE_TITLE, rates, costs, [about]))
    return Section(TITLE, about, figures, NOTES)


def repeated(rig: Rig, events: int, size: int, repeat: int) -> Measured:
    """S, P and E `repeat` times, and once before that does not count."""
    cell = Cell(rig.settings.concurrency, rig.settings.bulk_size)
    bench = Bench(rig, BenchOptions(events, size, repeat, [cell]), say)
    into = Measured(bench.options, True, [*SERVERS], cell, bench.load())
    bench.repeat(cell, Measured(into.options, into.shared, into.known), "warm-up")
    others = OtherProcesses(rig)
    for number in range(1, repeat + 1):
        bench.repeat(cell, into, f"repetition {number} of {repeat}")
        say(f"S {into.sink[-1]:,.0f}, P {into.p[-1].rate:,.0f}, E {into.e[-1].rate:,.0f} events/s")
        into.others.append(others.cores())
    return into


def figures_of(m: Measured) -> list[BenchFigure]:
    """What every repetition shows."""
    engine = m.cpu("engine")
    # 0 where a run was too short to cost the engine anything
    shares = {
        who: [own / e if e > 0 else 0.0 for own, e in zip(m.cpu(who), engine, strict=True)] for who in COSTS
    }
    return [
        BenchFigure("S: sink alone", "events/s", m.sink),
        BenchFigure("P: claim and settle", "events/s", [p.rate for p in m.p]),
        BenchFigure("B: bound", "events/s", m.bound),
        BenchFigure("E: end to end", "events/s", [e.rate for e in m.e]),
        BenchFigure("E/B", "", m.ratio, at_least=True, digits=2),
        BenchFigure("B/S", "", ratios(m.bound, m.sink), at_least=True, digits=2),
        BenchFigure("whole process", "s", [e.run.wall for e in m.e], digits=2),
        BenchFigure("its start and stop", "s", [e.idle.wall for e in m.e], digits=2),
        BenchFigure("its start within E", "s", [e.start for e in m.e], digits=2),
        BenchFigure(OTHERS, "", m.others, digits=2),
        *(BenchFigure(name, "us/event", m.cpu(who), digits=1) for who, name in COSTS.items()),
        BenchFigure("worker/Elasticsearch CPU", "", shares["worker"], digits=3),
        BenchFigure("PostgreSQL/Elasticsearch CPU", "", shares["postgres"], digits=3),
        BenchFigure("worker memory", "MB", [e.run.rss for e in m.e]),
    ]
