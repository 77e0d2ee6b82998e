"""Upserts, deletes, a hot entity and refused documents, each against upserts of the same repetition."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks import rows
from benchmarks.report import Section
from benchmarks.servers import say
from benchmarks.turns import ratios, turns
from outboxctl.core import benchmark_tables
from outboxctl.drills.bench import fill, pipeline, process, sink
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must

TITLE = "Operations"
HOT = 50  # entities to which all events belong
REFUSED_EVERY = 20
NOTES = f"""\
- A real `outboxctl worker --drain`, from its line "worker started" to the start of its last settle.
- Deletes: the documents are there. Hot: all events are of {HOT} entities; a batch sends each once.
- Refused: every {REFUSED_EVERY}th document has a value that the index's mapping does not take. Its event
  ends `failed` at the first attempt, its neighbours are delivered; each event counts.
"""


@dataclass(frozen=True)
class Operation:
    """What is pending before the clock starts, and how many of the events end `failed`."""

    make: Callable[[Rig, int], None]
    failed_of: Callable[[int], int] = lambda events: 0  # noqa: ARG005


def run(rig: Rig, given: Namespace) -> Section:
    """Every operation in turn, a repetition after the other."""
    text, events = sink.text_of(rig, given.bytes), given.events // 2  # what is compared needs no more
    measured: Mapping[str, list[float]] = {name: [] for name in OPERATIONS}
    for number in range(1, given.repeat + 1):
        for name in turns(list(OPERATIONS), number):
            measured[name].append(_rate(rig, OPERATIONS[name], events, text))
            say(f"{name}, repetition {number} of {given.repeat}: {measured[name][-1]:,.0f}/s")
    about = f"{events:,} events on documents of {given.bytes} bytes of JSON, {given.repeat} repetitions."
    return Section(TITLE, about, _figures(measured), NOTES)


def _rate(rig: Rig, operation: Operation, events: int, text: int) -> float:
    rows.entities(rig, events, text)
    operation.make(rig, events)
    rig.checkpoint()
    worker = process.drain(rig)
    failed = operation.failed_of(events)
    with rig.database.begin() as connection:
        done = benchmark_tables.done(connection)
    must(done == events - failed, f"{done} of {events} events are done, {failed} were to fail")
    return pipeline.rate(rig, events, worker)


def _upserts(rig: Rig, events: int) -> None:
    rows.burst(rig, events)


def _deletes(rig: Rig, events: int) -> None:
    rows.burst(rig, events)
    process.drain(rig)
    rows.truncate(rig)
    rows.burst(rig, events, op="delete", later=1)
    rows.vanish(rig)
    fill.vacuum(rig)


def _hot(rig: Rig, events: int) -> None:
    rows.burst(rig, HOT, rounds=events // HOT)


def _refused(rig: Rig, events: int) -> None:
    rows.spoil(rig, REFUSED_EVERY)
    rows.burst(rig, events)
    fill.vacuum(rig)


OPERATIONS = {
    "upserts": Operation(_upserts),
    "deletes": Operation(_deletes),
    "hot": Operation(_hot),
    "refused": Operation(_refused, lambda events: events // REFUSED_EVERY),
}


def _figures(measured: Mapping[str, list[float]]) -> list[BenchFigure]:
    upserts = measured["upserts"]
    rates = [BenchFigure(name, "events/s", values) for name, values in measured.items()]
    return rates + [
        BenchFigure(f"{name}/upserts", "", ratios(values, upserts), at_least=True, digits=2)
        for name, values in measured.items()
        if values is not upserts
    ]
