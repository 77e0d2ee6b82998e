"""What a killed worker held: seconds until it is done, against as many fresh events."""

from argparse import Namespace
from collections.abc import Mapping

from sqlalchemy import text

from benchmarks import rows
from benchmarks.report import Section
from benchmarks.servers import say
from benchmarks.turns import ratios, turns
from outboxctl.core import benchmark_tables
from outboxctl.core.delivery.claim import GROUP
from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench import pipeline, process, sink
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must

TITLE = "Reclaimed"
HELD = 3_000  # events that a worker with the default settings can have in flight
NOTES = f"""\
- A real `outboxctl worker --drain`, from its line "worker started" to the start of its last settle. The
  reclaim itself is in it; the wait until the leases are over is not.
- Fresh: {HELD:,} pending events. Reclaimed: as many in `processing`, their lease over; sent {GROUP} at
  a time, and nothing else of the process meanwhile (ADR 31).
- Alone: {GROUP} events whose worker ended a second time, the most that one such death leaves; each is sent
  alone.
"""
HELD_BY_THE_DEAD = text(f"""
UPDATE {EVENTS} SET status = 'processing', owner = 'dead', lease_token = gen_random_uuid(), attempts = 1,
    processing_started_at = now() - interval '1 min', lease_until = now() - interval '1 s'
""")
TWICE = text(f"UPDATE {EVENTS} SET error_reason = 'lease_expired', next_retry_at = now()")
MAKE = {"fresh": (), "reclaimed": (HELD_BY_THE_DEAD,), "alone": (HELD_BY_THE_DEAD, TWICE)}


def run(rig: Rig, given: Namespace) -> Section:
    """Each kind in turn, a repetition after the other."""
    size = sink.text_of(rig, given.bytes)
    measured: Mapping[str, list[float]] = {kind: [] for kind in MAKE}
    for number in range(1, given.repeat + 1):
        for kind in turns(list(MAKE), number):
            measured[kind].append(seconds(rig, kind, GROUP if kind == "alone" else HELD, size))
            say(f"{kind}, repetition {number} of {given.repeat}: {measured[kind][-1]:.2f} s")
    about = f"{HELD:,} events on documents of {given.bytes} bytes of JSON, {given.repeat} repetitions."
    return Section(TITLE, about, _figures(measured), NOTES)


def seconds(rig: Rig, kind: str, events: int, size: int) -> float:
    """Until a worker has brought so many events of a kind to done."""
    rows.entities(rig, events, size)
    rows.burst(rig, events)
    with rig.database.begin() as connection:
        for statement in MAKE[kind]:
            connection.execute(statement)
    rig.checkpoint()
    worker = process.drain(rig)
    with rig.database.begin() as connection:
        must(benchmark_tables.done(connection) == events, f"not all of {events} events are done")
    return events / pipeline.rate(rig, events, worker)


def _figures(measured: Mapping[str, list[float]]) -> list[BenchFigure]:
    return [
        BenchFigure(f"{HELD:,} fresh", "s", measured["fresh"], digits=2),
        BenchFigure(f"{HELD:,} reclaimed", "s", measured["reclaimed"], 3.0, digits=2),
        BenchFigure("reclaimed/fresh", "", ratios(measured["reclaimed"], measured["fresh"]), digits=1),
        BenchFigure(f"{GROUP} alone", "s", measured["alone"], digits=2),
    ]
