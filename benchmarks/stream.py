"""Whether a worker keeps up with a steady stream of updates."""

from argparse import Namespace
from contextlib import closing
from time import perf_counter, time

from benchmarks import lanes, processes, sink, tables
from benchmarks.command import collected, figures
from benchmarks.processes import serving, wait_done
from benchmarks.report import Section
from benchmarks.rig import Rig
from benchmarks.shop import elsewhere
from outboxctl.core.database import Database
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect

COMMIT = 100
NOTES = f"""\
- Lag and rate: a real `outboxctl worker` process that was already running; a writer in a process of its
  own updates entities, {COMMIT} to a transaction, as fast as it can. Lag is the time from its last commit to
  the last settle (the newest `processed_at`).
- Claims are timed from taking a connection to the commit, in the product's lanes in one process, real
  sink, beside the same writer (new entities).
- Before each, the table of events is filled, drained, emptied by DELETE and vacuumed.
"""
# An event of an entity that is there.
ONE = f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, event_version)
SELECT entity_type, entity_id, 'upsert', event_version FROM {SOURCE} LIMIT 1
"""
LAG = "lag when the writer ends"
UNITS = {LAG: "s", "claim": "ms", "longest claim": "ms"}


def run(rig: Rig, args: Namespace) -> Section:
    """The worker's lag, then the lanes' claims, a repetition after the other."""
    text = sink.text_of(rig, args.bytes)

    def both(_number: int) -> dict[str, float]:
        return beside_a_worker(rig, args.events, text) | _beside_lanes(rig, args.events, text)

    shown = figures(collected(rig, args.repeat, both), lambda name: UNITS.get(name, "events/s"))
    size, repeat = f"documents of {args.bytes} bytes of JSON", f"{args.repeat} repetitions"
    about = f"{args.events:,} updates, {COMMIT} to a commit, {size}, {repeat}."
    return Section("Stream", about, shown, NOTES)


def beside_a_worker(rig: Rig, events: int, text: int) -> dict[str, float]:
    """Update every entity beside a worker that has already delivered an event."""
    tables.pending(rig, events, text)
    processes.drain(rig)
    tables.execute(rig, f"DELETE FROM {EVENTS}")
    tables.flush(rig)  # the statistics have no rows
    with serving(rig):
        tables.execute(rig, ONE)
        wait_done(rig, 1)
        began, ended = _written(rig, events, text)
        wait_done(rig, events + 1)
    last = tables.last_settle(rig)
    rates = {"the writer alone": events / (ended - began), "writer and worker": events / (last - began)}
    return {LAG: last - ended, **rates}


def _beside_lanes(rig: Rig, events: int, text: int) -> dict[str, float]:
    """New entities beside the lanes, on tables that were used, emptied and vacuumed."""
    lanes.drain(rig, events, text)
    tables.execute(rig, f"DELETE FROM {EVENTS}; DELETE FROM {SOURCE}")
    tables.flush(rig)
    with closing(connect(rig.settings)) as client:
        with lanes.running(rig, ElasticSink(client, rig.settings.elastic_index), drain=False) as times:
            started = perf_counter()
            _written(rig, events, text)
            wait_done(rig, events)
        drained = lanes.result(rig, times, events, perf_counter() - started)
    return {"claim": drained.median_claim, "longest claim": drained.longest_claim}


def _written(rig: Rig, events: int, text: int) -> tuple[float, float]:
    """When another process began its first transaction, and when its last one had committed."""
    url = rig.settings.require_database_url()
    found: tuple[float, float] = elsewhere(_write, url, events, text)
    return found


def _write(url: str, events: int, text: int) -> tuple[float, float]:
    with closing(Database(url)) as database:
        with database.begin():
            began = time()
        tables.write(database, events, text, COMMIT)  # the same seed: the entities that exist, if any
        return began, time()
