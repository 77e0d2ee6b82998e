"""Lanes and batch sizes against each other: what the defaults rest on. Not part of the usual run."""

from argparse import Namespace
from itertools import product

from benchmarks import crew, rows
from benchmarks.report import Section
from benchmarks.servers import say
from benchmarks.turns import turns
from outboxctl.drills.bench import fill, sink
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig

TITLE = "Settings"
CELLS = list(product((1, 2, 3, 4), (500, 1_000, 2_000)))
NOTES = """\
- End to end by the product's lanes in a process of their own, real sink and fresh index, from the first
  claim to the last settle.
"""


def run(rig: Rig, given: Namespace) -> Section:
    """Every cell in turn, a repetition after the other."""
    rates: dict[tuple[int, int], list[float]] = {cell: [] for cell in CELLS}
    rows.entities(rig, given.events, sink.text_of(rig, given.bytes))
    for number in range(1, given.repeat + 1):
        for cell in turns(CELLS, number):
            rates[cell].append(_rate(rig, given.events, *cell))
            say(f"{_name(cell)}, {number} of {given.repeat}: {rates[cell][-1]:,.0f}/s")
    figures = [BenchFigure(_name(cell), "events/s", rates[cell]) for cell in CELLS]
    about = f"{given.events:,} events, documents of {given.bytes} bytes of JSON, {given.repeat} repetitions."
    return Section(TITLE, about, figures, NOTES)


def _rate(rig: Rig, events: int, lanes: int, batch: int) -> float:
    rows.truncate(rig)
    rows.burst(rig, events)
    fill.fresh_index(rig)
    rig.checkpoint()
    settings = rig.settings.model_copy(update={"concurrency": lanes, "bulk_size": batch})
    return crew.drain(rig, events, settings, workers=1, real=True).rate


def _name(cell: tuple[int, int]) -> str:
    return f"{cell[0]} lanes, {cell[1]:,} a batch"
