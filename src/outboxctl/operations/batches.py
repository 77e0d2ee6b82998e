"""Work in batches, one transaction each: paced, and stopped between two of them on request."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any

BATCH = 1_000  # rows a transaction: a worker that meets one of them waits for some 20 ms


def size(rate: float | None) -> int:
    """Rows a batch: at most those of one second at `rate` rows a second (None: no limit)."""
    return BATCH if rate is None else max(1, min(BATCH, int(rate)))


def run(
    step: Callable[[], int],
    *,
    stop: threading.Event,
    rate: float | None = None,
    advance: Callable[[int], object] = lambda _: None,
    more: Callable[[], bool] = lambda: True,
    clock: Callable[[], float] = monotonic,
) -> int:
    """Call `step`, which does one batch and returns its rows, until it returns 0 or `stop` is set.

    `rate` is the most rows a second over the run; `advance` is called with the rows of each batch. `more`
    returns whether a step is left: there is no wait after the last one. Returns the sum of rows.
    """
    began, total = clock(), 0

    def due() -> bool:
        if rate and total:
            stop.wait(max(0.0, began + total / rate - clock()))
        return not stop.is_set()

    while more() and due() and (rows := step()):
        total += rows
        advance(rows)
    return total


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
