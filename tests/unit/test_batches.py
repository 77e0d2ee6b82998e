"""Long acts go in whole batches, at a pace, and end between two of them."""

import os
import signal
import threading

import pytest

from outboxctl.operations import batches

pytestmark = pytest.mark.no_servers


class Timer(threading.Event):
    """A stop that takes its waits from a clock of its own instead of sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.waits = 100.0, list[float]()

    def clock(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        self.now += timeout or 0.0
        return self.is_set()


def test_the_pace_holds_over_the_whole_run() -> None:
    stop, rows = Timer(), iter([10, 10, 5, 0])

    def step() -> int:
        stop.now += 0.25  # the work itself takes time, which the pace allows for
        return next(rows)

    assert batches.run(step, stop=stop, rate=10, clock=stop.clock) == 25
    assert stop.waits == [0.75, 0.75, 0.25]
    assert stop.now == 100 + 25 / 10 + 0.25


def test_nothing_is_waited_for_after_the_last_batch() -> None:
    """One event at a tenth a second took ten seconds."""
    stop, left = Timer(), [1, 1]
    assert batches.run(left.pop, stop=stop, rate=0.1, more=lambda: bool(left), clock=stop.clock) == 2
    assert stop.waits == [10.0]


def test_it_stops_between_two_batches_and_says_what_was_done() -> None:
    stop, told = threading.Event(), list[int]()

    def step() -> int:
        assert len(told) < 2, "it goes on"
        if len(told) == 1:
            stop.set()  # in the middle of the second batch: that one is finished
        return 7

    assert batches.run(step, stop=stop, advance=told.append) == 14
    assert told == [7, 7]
    assert batches.run(step, stop=stop) == 0


def test_the_first_signal_asks_and_the_second_ends() -> None:
    before = signal.getsignal(signal.SIGINT)
    with batches.stoppable() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
