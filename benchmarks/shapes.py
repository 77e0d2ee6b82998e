"""Whether a table's past slows the worker down: millions done, pending, waiting, failed; and emptied."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import closing
from statistics import median
from threading import Event, Lock
from time import perf_counter
from uuid import uuid4

from benchmarks import rows
from benchmarks.command import against, say, turns
from benchmarks.report import Section
from outboxctl.core.delivery.claim import claim
from outboxctl.domain.clock import Deadline
from outboxctl.drills.bench import sink as sink_alone
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.lanes import running
from outboxctl.drills.bench.process import PATIENCE
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.delivery.result import Delivery
from outboxctl.sink.transport.open import connect

CLAIM_SIZE = 500
CLAIMS = 20  # a repetition
PENDING = 5_000  # events that are due, in `quick_claims`
EMPTY, EMPTIED = "empty", "emptied"
NOTES = f"""\
- Each shape is a database of its own on the same server, filled once. In each repetition the same events
  are added to each, then each is drained in turn; the statistics are those from before they came.
- Rate: the product's lanes in one process, real sink and fresh index, until so many events are delivered;
  with pending rows the oldest go first, and there as many are pending afterwards as before.
- Claim: {CLAIM_SIZE} events, claimed and rolled back {CLAIMS} times a repetition, all shapes in turns;
  the median of these against that of the empty table.
- Emptied: used, emptied by DELETE and vacuumed just before, so that statistics say 0 rows.
- Random ids: drawn by the application, not the column's default, which follows time.
"""


class CountingSink:
    """A sink that sets `enough`, and the time `at`, once so many events have been delivered."""

    def __init__(self, sink: ElasticSink, events: int) -> None:
        self._sink, self._remaining, self._lock = sink, events, Lock()
        self.enough, self.at = Event(), 0.0

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Deliver, then count."""
        delivery = self._sink.deliver(actions, deadline=deadline)
        with self._lock:
            self._remaining -= len(actions)
            if self._remaining <= 0 and not self.enough.is_set():
                self.at = perf_counter()
                self.enough.set()
        return delivery


def run(rig: Rig, args: Namespace) -> Section:
    """Fill every shape, then measure all of them in each repetition."""
    pasts, size = _pasts(args.done), sink_alone.text_of(rig, args.bytes)
    claims: dict[str, list[float]] = {name: [] for name in pasts}
    rates: dict[str, list[float]] = {name: [] for name in pasts}
    with rows.databases(rig, pasts, args.events, size) as rigs:
        for number in range(args.repeat + 1):
            say(f"shapes, repetition {number} of {args.repeat}" if number else "warm-up")
            _refill(rigs, args.events)
            milliseconds = _claims(rigs, number)
            for name, each in turns(rigs.items(), number):
                rate = drain(each, args.events)
                say(f"{name}: {rate:,.0f}/s")
                if number:  # the first warms up the engine and every cache
                    claims[name].append(milliseconds[name])
                    rates[name].append(rate)
    beside = ", ".join(f"{p.rows:,} {p.kind} ({name})" for name, p in pasts.items() if p.rows)
    about = f"{args.events:,} events, {args.repeat} repetitions, beside {beside}."
    figures = [*_claim_figures(claims), BenchFigure("rate, empty", "events/s", rates[EMPTY])]
    return Section("Shapes", about, [*figures, *against(rates, EMPTY, name="rate, {} / {}")], NOTES)


def quick_claims(rig: Rig, done: int, repeat: int) -> list[BenchFigure]:
    """The ratios of claims on smaller tables, in a minute: reading the past is slower there too."""
    waiting, failed = (rows.Past(kind, done // 5) for kind in ("waiting", "failed"))
    pasts = {EMPTY: rows.Past(), "some done": rows.Past(rows=done), "waiting": waiting, "failed": failed}
    with rows.databases(rig, pasts, PENDING, 1) as rigs:
        for each in rigs.values():
            rows.burst(each, PENDING)
        say("claims")
        runs = [_claims(rigs, number) for number in range(repeat + 1)][1:]  # the first warms up
    return _claim_figures({name: [run[name] for run in runs] for name in pasts})


def _pasts(done: int) -> dict[str, rows.Past]:
    """In proportion: 10,000,000 done rows with 1,000,000 waiting and 100,000 failed ones."""
    return {
        EMPTY: rows.Past(),
        "some done": rows.Past(rows=done // 5),
        "many done": rows.Past(rows=done),
        "many done, random ids": rows.Past(rows=done, random=True),
        "pending": rows.Past("pending", done // 10),
        "waiting": rows.Past("waiting", done // 10),
        "failed": rows.Past("failed", done // 100),
        EMPTIED: rows.Past(),
    }


def _refill(rigs: Mapping[str, Rig], events: int) -> None:
    for name, rig in rigs.items():
        if name == EMPTIED:
            rows.empty(rig)
        if name == EMPTY:
            rows.execute(rig, rows.TRUNCATE)
        rows.burst(rig, events)


def drain(rig: Rig, events: int) -> float:
    """Events a second of the product's lanes until so many events are delivered."""
    tables.fresh_index(rig)
    rig.checkpoint()
    with closing(connect(rig.settings)) as client:
        sink = CountingSink(ElasticSink(client, rig.settings.elastic_index), events)
        started = perf_counter()
        with running(rig, sink, drain=False):
            must(sink.enough.wait(PATIENCE), "the lanes did not end")
    tables.vacuum(rig.database)
    return events / (sink.at - started)


def _claims(rigs: Mapping[str, Rig], number: int) -> dict[str, float]:
    """Claim in each shape in turn, many times: the median milliseconds of each."""
    times: dict[str, list[float]] = {name: [] for name in rigs}
    for turn in range(CLAIMS):
        for name in turns(rigs, number + turn):
            times[name].append(claim_ms(rigs[name]))
    return {name: median(values) for name, values in times.items()}


def claim_ms(rig: Rig) -> float:
    """Milliseconds of one claim, which is rolled back."""
    with rig.database.begin() as connection:
        started = perf_counter()
        claimed = claim(connection, owner="bench", token=str(uuid4()), size=CLAIM_SIZE, lease=30)
        milliseconds = 1_000 * (perf_counter() - started)
        connection.rollback()
    must(len(claimed) == CLAIM_SIZE, f"{len(claimed)} events claimed of {CLAIM_SIZE}")
    return milliseconds


def _claim_figures(claims: Mapping[str, list[float]]) -> list[BenchFigure]:
    """A claim on the empty table, and on each other one against it."""
    empty = BenchFigure("claim, empty", "ms", claims[EMPTY], digits=1)
    return [empty, *against(claims, EMPTY, name="claim, {} / {}", at_least=False)]
