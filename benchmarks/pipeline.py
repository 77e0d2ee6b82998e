"""S, P, B and E in turns on the same servers: what both ends can do, and what the worker does with them."""

from argparse import Namespace
from dataclasses import dataclass, field
from statistics import median

from benchmarks import lanes, processes, sink, tables
from benchmarks.command import OTHERS, ratios, say
from benchmarks.figure import BenchFigure
from benchmarks.lanes import Drained
from benchmarks.processes import ProcessRun
from benchmarks.report import Section
from benchmarks.rig import OtherProcesses, Rig, must
from outboxctl.sink.index import index_setup

TITLE = "Pipeline"
RUNS = 7  # of the start of a command
CPU = {"worker": "worker CPU", "postgres": "PostgreSQL CPU", "engine": "Elasticsearch CPU"}
NOTES = """\
- S: what the sink alone takes of the bytes that a worker sends, 1,000 documents a request, from memory; the
  best of 1, 2 and 3 sending threads. P: claim and settle with a sink that takes everything at once.
- B: what both allow where all share the cores, 1/(1/P + 1/S). E/B above 1 means that P or S alone left a core
  idle, or that others took cores from them.
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


@dataclass(frozen=True)
class EndToEnd:
    """Events a second; the run with all events, and a run with a single one.

    `start`: seconds from the line "worker started" of the run with a single event to its settle. In them it
    loads what the first batch needs, so they are part of every rate, and most of a short run's.
    """

    rate: float
    run: ProcessRun
    idle: ProcessRun
    start: float


@dataclass
class Measured:
    """S, P and E a repetition, and the cores that others took. `line`: bytes of a document and its line."""

    events: int
    line: int
    s: list[float] = field(default_factory=list)
    p: list[Drained] = field(default_factory=list)
    e: list[EndToEnd] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    @property
    def bound(self) -> list[float]:
        """B: what S and P allow together, since worker, database and engine share the cores."""
        return [1 / (1 / s + 1 / p.rate) for s, p in zip(self.s, self.p, strict=True)]

    def cpu(self, whose: str) -> list[float]:
        """Microseconds an event of `worker`, `postgres` or `engine`, less the start-up."""
        start = median(getattr(e.idle, whose) for e in self.e)
        return [1e6 * (getattr(e.run, whose) - start) / self.events for e in self.e]

    def against_engine(self, whose: str) -> list[float]:
        """CPU against the engine's: 0 where a run was too short to cost it anything."""
        pairs = zip(self.cpu(whose), self.cpu("engine"), strict=True)
        return [own / engine if engine > 0 else 0.0 for own, engine in pairs]


def run(rig: Rig, args: Namespace) -> Section:
    """The repetitions, then what is measured once."""
    documents = min(sink.WARM_UP, 10 * args.events)
    m = repeated(rig, args.events, args.bytes, args.repeat, documents=documents)
    say(f"a worker with {args.backlog:,} pending events")
    tables.pending(rig, args.backlog, sink.text_of(rig, args.bytes))
    backlog = processes.drain(rig).rss
    figures = [
        *figures_of(m),
        BenchFigure("worker memory, backlog", "MB", [backlog]),
        BenchFigure("outboxctl --help", "ms", processes.help_ms(RUNS)),
        BenchFigure("claim, backlog", "ms", [p.median_claim for p in m.p]),
        BenchFigure("longest claim, backlog", "ms", [p.longest_claim for p in m.p]),
    ]
    size = f"{args.bytes} bytes of JSON ({m.line:,} with its line of the bulk request)"
    setting = f"{rig.settings.concurrency} lanes, {rig.settings.bulk_size:,} a batch"
    about = f"{args.events:,} events of {size}, {setting}, {args.repeat} repetitions."
    return Section(TITLE, about, figures, NOTES)


def repeated(rig: Rig, events: int, size: int, repeat: int, *, documents: int) -> Measured:
    """S, P and E `repeat` times, and once before that does not count, after so many documents."""
    say("warm-up")
    text = sink.text_of(rig, size)
    requests = sink.bodies(rig, events, text)
    sink.warm_up(rig, requests, events, documents=documents)
    line = sum(map(len, requests)) // events
    _measure(rig, requests, text, Measured(events, line))
    measured, others = Measured(events, line), OtherProcesses(rig)
    for number in range(1, repeat + 1):
        say(f"repetition {number} of {repeat}")
        _measure(rig, requests, text, measured)
        measured.others.append(others.cores())
    return measured


def _measure(rig: Rig, requests: list[bytes], text: int, into: Measured) -> None:
    into.s.append(max(sink.limit(rig, requests, into.events).values()))
    into.p.append(lanes.drain(rig, into.events, text))
    tables.pending(rig, 1, text)
    idle = processes.drain(rig)
    start = tables.last_settle(rig) - idle.lanes_at
    settle = into.p[-1].median_settle
    tables.pending(rig, into.events, text)
    ran = processes.drain(rig)
    must(tables.done(rig) == into.events, "not every event is done")
    documents = index_setup.count(rig.client, rig.settings.elastic_index)
    must(documents == into.events, f"{documents} documents for {into.events} events")
    rate = processes.drain_rate(rig, into.events, ran, settle_ms=settle)
    into.e.append(EndToEnd(rate, ran, idle, start))


def figures_of(m: Measured) -> list[BenchFigure]:
    """What every repetition shows."""
    rates = {
        "S: sink alone": m.s,
        "P: claim and settle": [p.rate for p in m.p],
        "B: bound": m.bound,
        "E: end to end": [e.rate for e in m.e],
    }
    times = {
        "whole process": [e.run.wall for e in m.e],
        "its start and stop": [e.idle.wall for e in m.e],
        "its start within E": [e.start for e in m.e],
    }
    return [
        *(BenchFigure(name, "events/s", values) for name, values in rates.items()),
        BenchFigure("E/B", "", ratios(rates["E: end to end"], m.bound), at_least=True),
        BenchFigure("B/S", "", ratios(m.bound, m.s), at_least=True),
        *(BenchFigure(name, "s", values) for name, values in times.items()),
        BenchFigure(OTHERS, "", m.others),
        *(BenchFigure(name, "us/event", m.cpu(whose)) for whose, name in CPU.items()),
        BenchFigure("worker/Elasticsearch CPU", "", m.against_engine("worker")),
        BenchFigure("PostgreSQL/Elasticsearch CPU", "", m.against_engine("postgres")),
        BenchFigure("worker memory", "MB", [e.run.rss for e in m.e]),
    ]
