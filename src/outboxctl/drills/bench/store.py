"""P: claim and settle into a null sink; and the claim where the planner knows nothing of the rows."""

from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median
from time import monotonic, perf_counter, sleep

from outboxctl.core import benchmark_tables
from outboxctl.core.database import Database
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.lanes import NullSink, Times, running
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.delivery.deliver import ElasticSink
from outboxctl.sink.transport.open import connect

PATIENCE = 120.0


@dataclass(frozen=True)
class Drained:
    """Events a second, and milliseconds of the transactions."""

    rate: float
    longest_claim: float
    median_claim: float
    median_settle: float


def drain(rig: Rig, events: int, size: int) -> Drained:
    """Fill and drain with the product's lanes and a sink that does nothing."""
    fill.pending(rig, events, size)
    started = perf_counter()
    with running(rig, NullSink(), drain=True) as lanes:
        pass
    return _drained(rig, lanes, events, perf_counter() - started)


def stream(rig: Rig, events: int, size: int, commit: int) -> Drained:
    """A table that was used, emptied and vacuumed; then a writer in another process beside the lanes."""
    _used_and_emptied(rig, events, size)
    client = connect(rig.settings)
    sink = ElasticSink(client, rig.settings.elastic_index)
    with closing(client), running(rig, sink, drain=False) as lanes:
        started = perf_counter()
        arguments = (rig.settings.require_database_url(), events, size, commit)
        writer = get_context("spawn").Process(target=_write, args=arguments)
        writer.start()
        writer.join(PATIENCE)
        must(writer.exitcode == 0, "the writer failed")
        _wait(rig, events)
    return _drained(rig, lanes, events, perf_counter() - started)


def _used_and_emptied(rig: Rig, events: int, size: int) -> None:
    drain(rig, events, size)
    with rig.database.begin() as connection:
        benchmark_tables.delete(connection)
    fill.vacuum(rig)
    rig.checkpoint()


def _write(url: str, events: int, size: int, commit: int) -> None:
    with closing(Database(url)) as database:
        fill.write(database, events, size, commit)


def _wait(rig: Rig, events: int) -> None:
    end = monotonic() + PATIENCE
    while fill.done(rig) < events:
        must(monotonic() < end, "the lanes did not come to an end")
        sleep(0.1)


def _drained(rig: Rig, times: Times, events: int, seconds: float) -> Drained:
    must(fill.done(rig) == events, "not every event is done")
    claims = [1_000 * claim for claim in times.claims]
    settles = [1_000 * settle for settle in times.settles]
    return Drained(events / seconds, max(claims), median(claims), median(settles))
