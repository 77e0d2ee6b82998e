"""Whether a table's past slows the worker down: millions done, pending, waiting, failed; and emptied."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import closing
from threading import Event, Lock
from time import perf_counter

from benchmarks import claims, past, rows
from benchmarks.claims import EMPTY, Shape
from benchmarks.past import Past
from benchmarks.report import Section
from benchmarks.servers import say
from benchmarks.turns import ratios, turns
from outboxctl.domain.deadline import Deadline
from outboxctl.drills.bench import fill
from outboxctl.drills.bench import sink as sink_alone
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.lanes import running
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.delivery.result import Delivery
from outboxctl.sink.transport.open import connect

TITLE = "Shapes"
PATIENCE = 120.0
EMPTIED = "emptied"
NOTES = f"""\
- Each shape is a database of its own on the same server, filled once. In each repetition the same events
  are added to each, then each is drained in turn; the statistics are those from before they came.
- Rate: the product's lanes in one process, real sink and fresh index, until so many events are delivered;
  with pending rows the oldest go first, and there as many are pending afterwards as before.
- Claim: {claims.SIZE} events, claimed and rolled back {claims.TIMES} times a repetition, all shapes in turns.
  A value is a repetition's median against that of the empty table.
- Emptied: used, emptied by DELETE and vacuumed just before, so that statistics say 0 rows.
- Random ids: drawn by the application, not the column's default, which follows time.
"""


class Counting:
    """A sink that notes when so many events have been delivered."""

    def __init__(self, sink: ElasticSink, events: int) -> None:
        self._sink, self._left, self._lock = sink, events, Lock()
        self.enough, self.at = Event(), 0.0

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Deliver, then count."""
        delivery = self._sink.deliver(actions, deadline=deadline)
        with self._lock:
            self._left -= len(actions)
            if self._left <= 0 and not self.enough.is_set():
                self.at = perf_counter()
                self.enough.set()
        return delivery


def run(rig: Rig, given: Namespace) -> Section:
    """Fill every shape, then measure all of them in each repetition."""
    pasts, size = _pasts(given.done), sink_alone.text_of(rig, given.bytes)
    with past.databases(rig, pasts, given.events, size) as rigs:
        shapes = {name: Shape(rigs[name]) for name in pasts}
        for number in range(0, given.repeat + 1):
            say(f"shapes, repetition {number} of {given.repeat}" if number else "warm-up")
            _repeat(shapes, given.events, number)
    about = f"{given.events:,} events, {given.repeat} repetitions, beside {_about(pasts)}."
    return Section(TITLE, about, [*claims.figures(shapes), *_rates(shapes)], NOTES)


def _pasts(done: int) -> dict[str, Past]:
    """In proportion: 10,000,000 done rows make 1,000,000 waiting and 100,000 failed ones."""
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
    for name, shape in shapes.items():
        if name == EMPTIED:
            rows.empty(shape.rig)
        if name == EMPTY:
            rows.truncate(shape.rig)
        rows.burst(shape.rig, events)
    claims.measure(shapes, number)
    for name, shape in turns(list(shapes.items()), number):
        fill.fresh_index(shape.rig)
        shape.rig.checkpoint()
        shape.rates.append(_rate(shape.rig, events))
        say(f"{name}: {shape.rates[-1]:,.0f}/s, a claim {shape.claims[-1]:.1f} ms")
        fill.vacuum(shape.rig)
    if number == 0:  # the engine and every cache were cold
        for shape in shapes.values():
            shape.claims.clear()
            shape.rates.clear()


def _rate(rig: Rig, events: int) -> float:
    with closing(connect(rig.settings)) as client:
        sink = Counting(ElasticSink(client, rig.settings.elastic_index), events)
        started = perf_counter()
        with running(rig, sink, drain=False):
            must(sink.enough.wait(PATIENCE), "the lanes did not come to an end")
    return events / (sink.at - started)


def _rates(shapes: Mapping[str, Shape]) -> list[BenchFigure]:
    empty = shapes[EMPTY].rates
    against = [
        BenchFigure(f"rate, {name} / empty", "", ratios(shape.rates, empty), at_least=True, digits=2)
        for name, shape in shapes.items()
        if name != EMPTY
    ]
    return [BenchFigure("rate, empty", "events/s", empty), *against]


def _about(pasts: Mapping[str, Past]) -> str:
    return ", ".join(f"{p.rows:,} {p.kind} ({name})" for name, p in pasts.items() if p.rows)
