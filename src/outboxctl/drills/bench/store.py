"""P: claim and settle, with a sink that accepts everything at once."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

from outboxctl.drills.bench import tables
from outboxctl.drills.bench.lanes import NullSink, Times, running
from outboxctl.drills.bench.rig import Rig, must


@dataclass(frozen=True)
class Drained:
    """Events a second, and milliseconds of the transactions."""

    rate: float
    longest_claim: float
    median_claim: float
    median_settle: float


def drain(rig: Rig, events: int, size: int) -> Drained:
    """Fill the tables and drain them by the worker's lanes with a sink that does nothing."""
    tables.pending(rig, events, size)
    started = perf_counter()
    with running(rig, NullSink(), drain=True) as times:
        pass
    return result(rig, times, events, perf_counter() - started)


def result(rig: Rig, times: Times, events: int, seconds: float) -> Drained:
    """What the lanes did in so many seconds. Raises OutboxctlError where not every event is done."""
    must(tables.done(rig) == events, "not every event is done")
    claims = [1_000 * claim for claim in times.claims]
    settles = [1_000 * settle for settle in times.settles]
    return Drained(events / seconds, max(claims), median(claims), median(settles))
