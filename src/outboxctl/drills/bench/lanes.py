"""The worker's lanes inside this process, with the durations of their claims and settles."""

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from time import perf_counter

from outboxctl.core.database import Database
from outboxctl.domain.failures import Classification, Verdict
from outboxctl.drills.bench.rig import Rig
from outboxctl.metrics.registry import Metrics
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, Sink
from outboxctl.worker.daemon import _calm_the_collector
from outboxctl.worker.health import Health
from outboxctl.worker.intake import Batch, Intake
from outboxctl.worker.lane import Lane
from outboxctl.worker.lease import Lease
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.shared import Shared
from outboxctl.worker.tracing import Tracing

DONE = Classification(Verdict.DONE)


class NullSink:
    """A sink that accepts everything at once."""

    def deliver(self, actions: Sequence[BulkAction], *, left: Callable[[], float]) -> Delivery:  # noqa: ARG002
        """Accept all of them."""
        return Delivery([DONE] * len(actions), [])


class TimedIntake(Intake):
    """Records the seconds of each claim that returned events."""

    def __init__(self, shared: Shared, *, drain: bool) -> None:
        super().__init__(shared, drain=drain)
        self.claims: list[float] = []

    def _claim(self, lease: Lease, *, alone: bool) -> Batch | None:
        started = perf_counter()
        batch = super()._claim(lease, alone=alone)
        if batch:
            self.claims.append(perf_counter() - started)
        return batch


class TimedLane(Lane):
    """A lane that records the seconds of each settle, and of each claim that returned events."""

    def __init__(self, shared: Shared, *, drain: bool) -> None:
        super().__init__(shared, drain=drain)
        self._intake = intake = TimedIntake(shared, drain=drain)
        self.claims = intake.claims
        self.settles: list[float] = []

    def _settle(self, batch: Batch, outcomes: Outcomes) -> None:
        started = perf_counter()
        super()._settle(batch, outcomes)
        self.settles.append(perf_counter() - started)


def _wait(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


@contextmanager
def running(
    rig: Rig, sink: Sink, *, drain: bool, tracing: Tracing | None = None
) -> Iterator[list[TimedLane]]:
    """`concurrency` lanes, at the end waited for with `drain`, else stopped. Raises a lane's error."""
    gc.collect()  # the garbage of an earlier measurement must not be frozen
    _calm_the_collector()  # as the daemon does: a full collection stops all lanes for 60 ms
    s = rig.settings
    with closing(Database(s.require_database_url(), connections=s.concurrency + 2)) as database:
        shared = Shared(s, database, sink, Metrics(), Health(s.sla_oldest_age_seconds), tracing=tracing)
        lanes = [TimedLane(shared, drain=drain) for _ in range(s.concurrency)]
        threads = [threading.Thread(target=lane.run) for lane in lanes]
        for thread in threads:
            thread.start()
        try:
            yield lanes
            if drain:
                _wait(threads)
        finally:
            shared.stop()
            _wait(threads)
        if shared.error:
            raise shared.error
