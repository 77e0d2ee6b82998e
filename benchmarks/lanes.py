"""The worker's lanes inside this process, timed. P: claim and settle with a sink that accepts everything."""

import gc
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from statistics import median
from time import monotonic, perf_counter
from typing import Any, NamedTuple, cast

from benchmarks import shop, tables
from benchmarks.rig import Rig, must
from outboxctl.core.database import Database
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Classification, Verdict
from outboxctl.domain.projection import DOCUMENTS, Projection
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, IndexedSink, Sink
from outboxctl.worker.claiming.claims import Claims
from outboxctl.worker.claiming.leases import Batch, Lease
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.lane.lane import Lane
from outboxctl.worker.process import tune_collector
from outboxctl.worker.settling.outcome import Outcomes
from outboxctl.worker.wiring import WorkerParts

DONE = Classification(Verdict.DONE)
# Those that are done already are many, by statistics of an empty table: never read them again.
CLAIM = f"""
SET LOCAL enable_seqscan = off;
UPDATE {EVENTS} SET status = 'done' WHERE status = 'pending' AND (follow IS NULL OR follow = {DOCUMENTS})
"""


class NullSink:
    """A sink that accepts everything at once."""

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:  # noqa: ARG002
        """Accept all of them."""
        return Delivery([DONE] * len(actions), [])


def no_sink_of(projection: Projection) -> IndexedSink:
    """Events of declared projections are not delivered here: raise LookupError."""
    raise LookupError(f"no sink for {projection.name}")


def no_ping() -> None:
    """A sink that is always there."""


class WithSeconds:
    """A part of the worker with a list of seconds."""

    def __init__(self, *args: Any, **parts: Any) -> None:
        super().__init__(*args, **parts)
        self.seconds: list[float] = []


class TimedClaims(WithSeconds, Claims):
    """Records the seconds of each claim that returned events."""

    def take(self, lease: Lease, **more: Any) -> Batch | None:
        """As `Claims.take`."""
        started = perf_counter()
        batch = super().take(lease, **more)
        if batch:
            self.seconds.append(perf_counter() - started)
        return batch


class TimedLane(WithSeconds, Lane):
    """Records the seconds of each settle."""

    def _settle(self, context: WorkerContext, batch: Batch, outcomes: Outcomes) -> None:
        started = perf_counter()
        super()._settle(context, batch, outcomes)
        self.seconds.append(perf_counter() - started)


class TimedParts(WorkerParts):
    """The parts of a worker whose claims and settles are timed."""

    CLAIMS, LANE = TimedClaims, TimedLane
    claims: TimedClaims


class Times(NamedTuple):
    """Seconds of each claim that returned events, and of each settle; complete once the lanes end."""

    claims: list[float]
    lanes: list[TimedLane]


@dataclass(frozen=True)
class Drained:
    """Events a second, and milliseconds of the transactions."""

    rate: float
    longest_claim: float
    median_claim: float
    median_settle: float


def drain(rig: Rig, events: int, size: int) -> Drained:
    """P: fill the tables and drain them by the lanes with a sink that does nothing."""
    tables.pending(rig, events, size)
    started = perf_counter()
    with running(rig, NullSink(), drain=True) as times:
        pass
    return result(rig, times, events, perf_counter() - started)


def result(rig: Rig, times: Times, events: int, seconds: float) -> Drained:
    """What the lanes did in so many seconds. Raises OutboxctlError where not every event is done."""
    must(tables.done(rig) == events, "not every event is done")
    claims, settles = times.claims, [seconds for lane in times.lanes for seconds in lane.seconds]
    return Drained(events / seconds, *(1_000 * s for s in (max(claims), median(claims), median(settles))))


@contextmanager
def running(rig: Rig, sink: Sink, *, drain: bool) -> Iterator[Times]:
    """`concurrency` lanes, at the end waited for with `drain`, else stopped. Raises a lane's error."""
    gc.collect()  # the garbage of an earlier measurement must not be frozen
    tune_collector()  # as the daemon does: a full collection stops all lanes for 60 ms
    s = rig.settings
    with closing(Database(s.require_database_url(), connections=s.concurrency + 2)) as database:
        parts = TimedParts(s, database, sink, sink_of=no_sink_of, ping=no_ping)
        lanes = [cast("TimedLane", parts.lane(drain=drain)) for _ in range(s.concurrency)]
        threads = [threading.Thread(target=lane.run) for lane in lanes]
        for thread in threads:
            thread.start()
        try:
            yield Times(parts.claims.seconds, lanes)
            if drain:
                _join(threads)
        finally:
            parts.context.signals.stop()
            _join(threads)
        for error in (lane.error for lane in lanes if lane.error):
            raise error


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def expanded_alone(rig: Rig, patience: float) -> float:
    """Seconds of the expander's transactions until no follow event waits, or `patience` seconds have passed.

    Many documents of the shop's projection have one event, as after batches that were quick. Between two
    transactions all events of documents are done, as if lanes had delivered them; that is not timed.
    """
    parts = WorkerParts(rig.settings, rig.database, NullSink(), sink_of=no_sink_of, ping=no_ping)
    expander, most = parts.expander, rig.settings.bulk_size
    for _ in range(most.bit_length()):
        parts.flow.ended(shop.NAME, most, monotonic())
    seconds, began = 0.0, perf_counter()
    end = began + patience
    while began < end and expander.step():
        seconds += perf_counter() - began
        tables.execute(rig, CLAIM)
        began = perf_counter()
    return seconds
