"""Work in batches, one transaction each: paced, and stopped between two of them on request."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any

BATCH = 1_000  # rows a transaction: a worker that meets one of them waits for some 20 ms


def size(rate: float | None) -> int:
    """Rows a batch: at most those of one second at `rate` rows a second (None: no limit)."""
    return BATCH if rate is None else max(1, min(BATCH, int(rate)))


def run(
    steps: Iterable[Callable[[], int]],
    *,
    stop: threading.Event,
    rate: float | None = None,
    clock: Callable[[], float] = monotonic,
) -> Iterator[int]:
    """Do the steps, of which each does one batch and returns its rows, until `stop` is set; yields the rows.

    `rate` is the most rows a second over the run; there is no wait after the last step.
    """
    began, total = clock(), 0
    for step in steps:
        if rate and total:
            stop.wait(max(0.0, began + total / rate - clock()))
        if stop.is_set():
            return
        rows = step()
        total += rows
        yield rows


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Within the block, the first SIGINT or SIGTERM sets the event; a second one ends the process."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def first(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[number] or signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, first)
    try:
        yield stop
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler or signal.SIG_DFL)
