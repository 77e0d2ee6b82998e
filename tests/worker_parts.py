"""The parts of a worker in this process: for a test of one of them, or of lanes without a worker process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from outboxctl.core.database import Database
from outboxctl.domain.failures import Classification
from outboxctl.domain.projection import Projection
from outboxctl.settings import load
from outboxctl.sink.delivery.result import Delivery, IndexedSink, Sink
from outboxctl.worker.wiring import WorkerParts


class NoSink:
    """The sink of parts that deliver nothing."""

    def deliver(self, *_: object, **__: object) -> Delivery:
        """Nothing: raise LookupError."""
        raise LookupError("these parts have no sink")


def no_sink_of(projection: Projection) -> IndexedSink:
    """For parts that deliver no declared projection: raise LookupError."""
    raise LookupError(f"these parts have no sink for {projection.name}")


def no_ping() -> Classification | None:
    """For parts that probe no sink: raise LookupError."""
    raise LookupError("these parts have nothing to probe their sink with")


def make_parts(db: Database, sink: Sink | None = None, **settings: Any) -> WorkerParts:
    """The parts of a worker with these settings; without a sink it can deliver nothing."""
    return WorkerParts(load(**settings), db, sink or NoSink(), sink_of=no_sink_of, ping=no_ping)


@contextmanager
def running_lanes(parts: WorkerParts, number: int = 1) -> Iterator[WorkerParts]:
    """So many of its lanes, each in a thread. At the end the worker stops, and so must they."""
    lanes = [threading.Thread(target=parts.lane(drain=False).run, daemon=True) for _ in range(number)]
    for lane in lanes:
        lane.start()
    try:
        yield parts
    finally:
        parts.context.signals.stop()
        for lane in lanes:
            lane.join(30)
            assert not lane.is_alive()
