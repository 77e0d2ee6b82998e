"""Upserts, deletes, a hot entity and refused documents, each against upserts of the same repetition."""

from argparse import Namespace
from collections.abc import Callable

from benchmarks import rows
from benchmarks.command import against, repeated
from benchmarks.report import Section
from outboxctl.drills.bench import pipeline, process, sink, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must

HOT = 50  # entities to which all events belong
REFUSED_EVERY = 20
NOTES = f"""\
- A real `outboxctl worker --drain`, from its line "worker started" to the start of its last settle.
- Deletes: the documents are there. Hot: all events are of {HOT} entities; a batch sends each once.
- Refused: every {REFUSED_EVERY}th document has a value that the index's mapping does not accept. Its event
  ends `failed` at the first attempt, its neighbours are delivered; each event counts.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """Every operation in turn, a repetition after the other."""
    text, events = sink.text_of(rig, args.bytes), args.events // 2  # a comparison needs no more
    rates = repeated(OPERATIONS, args.repeat, lambda name: rate(rig, name, events, text), "events/s")
    about = f"{events:,} events on documents of {args.bytes} bytes of JSON, {args.repeat} repetitions."
    figures = [BenchFigure(name, "events/s", values) for name, values in rates.items()]
    return Section("Operations", about, [*figures, *against(rates, "upserts")], NOTES)


def rate(rig: Rig, name: str, events: int, text: int) -> float:
    """Events a second of one operation. Raises OutboxctlError where an event did not end as it must."""
    rows.entities(rig, events, text)
    OPERATIONS[name](rig, events)
    rig.checkpoint()
    return drained(rig, events, failed=events // REFUSED_EVERY if name == "refused" else 0)


def drained(rig: Rig, events: int, *, failed: int = 0) -> float:
    """Events a second of a worker that drains what is pending; all but `failed` events must be done."""
    worker = process.drain(rig)
    done = tables.done(rig)
    must(done == events - failed, f"{done} of {events} events are done, {failed} were to fail")
    return pipeline.rate(rig, events, worker)


def _deletes(rig: Rig, events: int) -> None:
    rows.burst(rig, events)
    process.drain(rig)
    rows.truncate(rig)
    rows.burst(rig, events, op="delete", later=1)
    rows.execute(rig, "DELETE FROM {source}")  # an application deletes the row before it writes the event
    tables.vacuum(rig.database)


def _refused(rig: Rig, events: int) -> None:
    rows.execute(rig, rows.SPOIL, every=REFUSED_EVERY)
    rows.burst(rig, events)
    tables.vacuum(rig.database)


OPERATIONS: dict[str, Callable[[Rig, int], None]] = {
    "upserts": rows.burst,
    "deletes": _deletes,
    "hot": lambda rig, events: rows.burst(rig, HOT, rounds=events // HOT),
    "refused": _refused,
}
