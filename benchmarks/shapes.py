"""Whether a table's past slows the worker down: millions done, pending, waiting, failed; and emptied."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from statistics import median
from threading import Event, Lock
from time import perf_counter
from uuid import uuid4

from benchmarks import rows
from benchmarks.command import against, say, turns
from benchmarks.report import Section
from benchmarks.rows import Past
from outboxctl.core.delivery.claim import claim
from outboxctl.domain.deadline import Deadline
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
- Claim: {CLAIM_SIZE} events, claimed and rolled back {CLAIMS} times a repetition, all shapes in turns.
  A value is a repetition's median against that of the empty table.
- Emptied: used, emptied by DELETE and vacuumed just before, so that statistics say 0 rows.
- Random ids: drawn by the application, not the column's default, which follows time.
"""


@dataclass
class Shape:
    """A database; milliseconds of a claim (the repetition's median) and events a second, by repetition."""

    rig: Rig
    claims: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


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
    with rows.databases(rig, pasts, args.events, size) as rigs:
        shapes = {name: Shape(rigs[name]) for name in pasts}
        for number in range(args.repeat + 1):
            say(f"shapes, repetition {number} of {args.repeat}" if number else "warm-up")
            _repeat(shapes, args.events, number)
    beside = ", ".join(f"{p.rows:,} {p.kind} ({name})" for name, p in pasts.items() if p.rows)
    about = f"{args.events:,} events, {args.repeat} repetitions, beside {beside}."
    rates = {name: shape.rates for name, shape in shapes.items()}
    figures = [*_claim_figures(shapes), BenchFigure("rate, empty", "events/s", rates[EMPTY])]
    return Section("Shapes", about, [*figures, *against(rates, EMPTY, name="rate, {} / {}")], NOTES)


def quick_claims(rig: Rig, done: int, repeat: int) -> list[BenchFigure]:
    """The ratios of claims on smaller tables, in a minute: reading the past is slower there too."""
    pasts = {
        EMPTY: Past(),
        "some done": Past(rows=done),
        "waiting": Past("waiting", done // 5),
        "failed": Past("failed", done // 5),
    }
    with rows.databases(rig, pasts, PENDING, 1) as rigs:
        shapes = {name: Shape(each) for name, each in rigs.items()}
        for shape in shapes.values():
            rows.burst(shape.rig, PENDING)
        for number in range(repeat + 1):
            say(f"claims, repetition {number} of {repeat}" if number else "claims, warm-up")
            _measure_claims(shapes, number)
    return _claim_figures(shapes)


def _pasts(done: int) -> dict[str, Past]:
    """In proportion: 10,000,000 done rows with 1,000,000 waiting and 100,000 failed ones."""
    return {
        EMPTY: Past(),
        "some done": Past(rows=done // 5),
        "many done": Past(rows=done),
        "many done, random ids": Past(rows=done, random=True),
        "pending": Past("pending", done // 10),
        "waiting": Past("waiting", done // 10),
        "failed": Past("failed", done // 100),
        EMPTIED: Past(),
    }


def _repeat(shapes: Mapping[str, Shape], events: int, number: int) -> None:
    """Repetition 0 warms up the engine and every cache, and does not count."""
    for name, shape in shapes.items():
        if name == EMPTIED:
            rows.empty(shape.rig)
        if name == EMPTY:
            rows.execute(shape.rig, rows.TRUNCATE)
        rows.burst(shape.rig, events)
    _measure_claims(shapes, number)
    for name, shape in turns(shapes.items(), number):
        tables.fresh_index(shape.rig)
        shape.rig.checkpoint()
        rate = drain(shape.rig, events)
        shape.rates.extend([rate] if number else [])
        say(f"{name}: {rate:,.0f}/s")
        tables.vacuum(shape.rig.database)


def drain(rig: Rig, events: int) -> float:
    """Events a second of the product's lanes until so many events are delivered."""
    with closing(connect(rig.settings)) as client:
        sink = CountingSink(ElasticSink(client, rig.settings.elastic_index), events)
        started = perf_counter()
        with running(rig, sink, drain=False):
            must(sink.enough.wait(PATIENCE), "the lanes did not end")
    return events / (sink.at - started)


def _measure_claims(shapes: Mapping[str, Shape], number: int) -> None:
    """Claim in each shape in turn, many times; repetition 0 does not count."""
    times: dict[str, list[float]] = {name: [] for name in shapes}
    for turn in range(CLAIMS):
        for name in turns(shapes, number + turn):
            times[name].append(claim_ms(shapes[name].rig))
    if number:
        for name, shape in shapes.items():
            shape.claims.append(median(times[name]))


def claim_ms(rig: Rig) -> float:
    """Milliseconds of one claim, which is rolled back."""
    with rig.database.begin() as connection:
        started = perf_counter()
        claimed = claim(connection, owner="bench", token=str(uuid4()), size=CLAIM_SIZE, lease=30)
        milliseconds = 1_000 * (perf_counter() - started)
        connection.rollback()
    must(len(claimed) == CLAIM_SIZE, f"{len(claimed)} events claimed of {CLAIM_SIZE}")
    return milliseconds


def _claim_figures(shapes: Mapping[str, Shape]) -> list[BenchFigure]:
    """A claim on the empty table, and on each other one against it."""
    claims = {name: shape.claims for name, shape in shapes.items()}
    empty = BenchFigure("claim, empty", "ms", claims[EMPTY], digits=1)
    return [empty, *against(claims, EMPTY, name="claim, {} / {}", at_least=False)]
