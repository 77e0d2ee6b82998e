"""What a killed worker had claimed: seconds until it is done, against as many fresh events."""

from argparse import Namespace

from benchmarks import rows
from benchmarks.command import ratios, repeated
from benchmarks.operations import drained
from benchmarks.report import Section
from outboxctl.core.delivery.claim import GROUP
from outboxctl.drills.bench import sink
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig

CLAIMED = 3_000  # events that a worker with the default settings can have in flight
NOTES = f"""\
- A real `outboxctl worker --drain`, from its line "worker started" to the start of its last settle. The
  reclaim itself is in it; the wait until the leases have expired is not.
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


def run(rig: Rig, args: Namespace) -> Section:
    """Each kind in turn, a repetition after the other."""
    size, counts = sink.text_of(rig, args.bytes), dict.fromkeys(KINDS, CLAIMED) | {"alone": GROUP}
    measured = repeated(KINDS, args.repeat, lambda kind: seconds(rig, kind, counts[kind], size), "s")
    figures = [
        BenchFigure(f"{CLAIMED:,} fresh", "s", measured["fresh"], digits=2),
        BenchFigure(f"{CLAIMED:,} reclaimed", "s", measured["reclaimed"], 3.0, digits=2),
        BenchFigure("reclaimed/fresh", "", ratios(measured["reclaimed"], measured["fresh"]), digits=1),
        BenchFigure(f"{GROUP} alone", "s", measured["alone"], digits=2),
    ]
    about = f"{CLAIMED:,} events on documents of {args.bytes} bytes of JSON, {args.repeat} repetitions."
    return Section("Reclaimed", about, figures, NOTES)


def seconds(rig: Rig, kind: str, events: int, size: int) -> float:
    """Until a worker has brought so many events of a kind to `done`."""
    rows.entities(rig, events, size)
    rows.burst(rig, events)
    for statement in KINDS[kind]:
        rows.execute(rig, statement)
    rig.checkpoint()
    return events / drained(rig, events)
