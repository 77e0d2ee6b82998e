"""Upserts, deletes, a hot entity, refused documents; and what a killed worker had claimed."""

from argparse import Namespace
from collections.abc import Callable

from benchmarks import rows
from benchmarks.command import against, ratios, repeated
from benchmarks.report import Section
from outboxctl.core.delivery.claim import GROUP
from outboxctl.drills.bench import process, sink, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must

HOT = 50  # entities to which all events belong
REFUSED_EVERY = 20
CLAIMED = 3_000  # events that a worker with the default settings can have in flight
NOTES = f"""\
- A real `outboxctl worker --drain`, from its line "worker started" to the start of its last settle.
- Deletes: the documents are there. Hot: all events are of {HOT} entities; a batch sends each once.
- Refused: every {REFUSED_EVERY}th document has a value that the index's mapping does not accept. Its event
  ends `failed` at the first attempt, its neighbours are delivered; each event counts.
"""
RECLAIMED_NOTES = f"""\
- Timed as the operations are. The reclaim itself is in it; the wait for the end of the leases is not.
- Fresh: {CLAIMED:,} pending events. Reclaimed: as many in `processing`, their lease expired; sent {GROUP} at
  a time, and nothing else of the process meanwhile (ADR 31).
- Alone: {GROUP} events whose worker ended a second time, the most that one such death leaves; each is sent
  alone.
"""
EXPIRED = """
UPDATE {events} SET status = 'processing', owner = 'killed', lease_token = gen_random_uuid(), attempts = 1,
    processing_started_at = now() - interval '1 min', lease_until = now() - interval '1 s'
"""
TWICE = "UPDATE {events} SET error_reason = 'lease_expired', next_retry_at = now()"
KINDS = {"fresh": (), "reclaimed": (EXPIRED,), "alone": (EXPIRED, TWICE)}
# Documents that the index refuses: its field takes no such number.
SPOIL = """
UPDATE {source} SET rank_score = 'NaN' WHERE entity_id IN (
    SELECT entity_id FROM (SELECT entity_id, row_number() OVER (ORDER BY entity_id) n FROM {source}) s
    WHERE n % {every} = 0)
"""


def run(rig: Rig, args: Namespace) -> Section:
    """Every operation in turn, each against upserts of the same repetition."""
    text, events = sink.text_of(rig, args.bytes), args.events // 2  # a comparison needs no more
    rates = repeated(OPERATIONS, args.repeat, lambda name: rate(rig, name, events, text), "events/s")
    about = f"{events:,} events on documents of {args.bytes} bytes of JSON, {args.repeat} repetitions."
    figures = [BenchFigure(name, "events/s", values) for name, values in rates.items()]
    return Section("Operations", about, [*figures, *against(rates, "upserts")], NOTES)


def reclaimed(rig: Rig, args: Namespace) -> Section:
    """Seconds until what a killed worker had claimed is done, against as many fresh events."""
    size, counts = sink.text_of(rig, args.bytes), dict.fromkeys(KINDS, CLAIMED) | {"alone": GROUP}
    measured = repeated(KINDS, args.repeat, lambda kind: seconds(rig, kind, counts[kind], size), "s")
    figures = [
        BenchFigure(f"{CLAIMED:,} fresh", "s", measured["fresh"], digits=2),
        BenchFigure(f"{CLAIMED:,} reclaimed", "s", measured["reclaimed"], digits=2),
        BenchFigure("reclaimed/fresh", "", ratios(measured["reclaimed"], measured["fresh"]), digits=1),
        BenchFigure(f"{GROUP} alone", "s", measured["alone"], digits=2),
    ]
    about = f"{CLAIMED:,} events on documents of {args.bytes} bytes of JSON, {args.repeat} repetitions."
    return Section("Reclaimed", about, figures, RECLAIMED_NOTES)


def rate(rig: Rig, name: str, events: int, text: int) -> float:
    """Events a second of one operation. Raises OutboxctlError where an event did not end as it must."""
    rows.entities(rig, events, text)
    OPERATIONS[name](rig, events)
    return _drained(rig, events, failed=events // REFUSED_EVERY if name == "refused" else 0)


def seconds(rig: Rig, kind: str, events: int, size: int) -> float:
    """Until a worker has brought so many events of a kind to `done`."""
    rows.entities(rig, events, size)
    rows.burst(rig, events)
    for statement in KINDS[kind]:
        rows.execute(rig, statement)
    return events / _drained(rig, events)


def _drained(rig: Rig, events: int, *, failed: int = 0) -> float:
    """Events a second of a worker that drains what is pending; all but `failed` events must be done."""
    rig.checkpoint()
    worker = process.drain(rig)
    done = tables.done(rig)
    must(done == events - failed, f"{done} of {events} events are done, {failed} were to fail")
    return process.drain_rate(rig, events, worker)


def _deletes(rig: Rig, events: int) -> None:
    rows.burst(rig, events)
    process.drain(rig)
    rows.execute(rig, rows.TRUNCATE)
    rows.burst(rig, events, op="delete", later=1)
    rows.execute(rig, "DELETE FROM {source}")  # an application deletes the row before it writes the event
    tables.vacuum(rig.database)


def _refused(rig: Rig, events: int) -> None:
    rows.execute(rig, SPOIL, every=REFUSED_EVERY)
    rows.burst(rig, events)
    tables.vacuum(rig.database)


OPERATIONS: dict[str, Callable[[Rig, int], None]] = {
    "upserts": rows.burst,
    "deletes": _deletes,
    "hot": lambda rig, events: rows.burst(rig, HOT, rounds=events // HOT),
    "refused": _refused,
}
