"""`python -m benchmarks.clocked`: the worker, which writes down when each step of a batch begins and ends.

To the file of CLOCK_FILE, at its end: a line of JSON a batch, which is a `ClockedBatch`.
"""

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any, NamedTuple

from outboxctl.domain.clock import Deadline
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, Sink
from outboxctl.worker import daemon
from outboxctl.worker.claims import Claims
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.lane import Lane
from outboxctl.worker.lease import Batch, Lease
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.parts import WorkerParts

FILE = "CLOCK_FILE"
Span = tuple[float, float]  # seconds since the epoch


class ClockedBatch(NamedTuple):
    """One batch: its documents, and when claim, bulk request and settle began and ended."""

    ids: list[str]
    claim: Span
    bulk: Span
    settle: Span


STEPS = threading.local()  # a batch is one thread's from its claim to its settle
BATCHES: list[ClockedBatch] = []


class ClockedClaims(Claims):
    """Notes when a claim that returned events began and ended."""

    def take(self, lease: Lease, *, exclusive: bool) -> Batch | None:
        """As `Claims.take`."""
        began = time()
        batch = super().take(lease, exclusive=exclusive)
        STEPS.claim = began, time()
        return batch


class ClockedSink:
    """Notes when a delivery began and ended."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """As the sink's."""
        began = time()
        delivery = self._sink.deliver(actions, deadline=deadline)
        STEPS.bulk = began, time()
        return delivery


class ClockedLane(Lane):
    """Notes the batch once it is settled."""

    def _settle(self, context: WorkerContext, batch: Batch, outcomes: Outcomes) -> None:
        began = time()
        super()._settle(context, batch, outcomes)
        ids = [event.document_id for event in batch.events]
        BATCHES.append(ClockedBatch(ids, STEPS.claim, STEPS.bulk, (began, time())))


class ClockedParts(WorkerParts):
    """The parts of a worker with clocks in them."""

    CLAIMS, LANE = ClockedClaims, ClockedLane

    def __init__(self, settings: Any, database: Any, sink: Sink, *args: Any, **more: Any) -> None:
        super().__init__(settings, database, ClockedSink(sink), *args, **more)


def read(file: Path) -> list[ClockedBatch]:
    """The batches that such a worker wrote down."""
    return [ClockedBatch(*json.loads(line)) for line in file.read_text().splitlines()]


def main() -> None:
    from outboxctl.cli import main as outboxctl  # noqa: PLC0415 - a process that only reads needs none of it

    daemon.Daemon.PARTS = ClockedParts
    try:
        outboxctl()
    finally:
        Path(os.environ[FILE]).write_text("".join(f"{json.dumps(batch)}\n" for batch in BATCHES))


if __name__ == "__main__":
    main()
