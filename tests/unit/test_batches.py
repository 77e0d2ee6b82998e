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


def test_the_pace_holds_over_the_whole_run_and_nothing_is_waited_for_after_the_last_batch() -> None:
    """One event at a tenth a second took ten seconds."""
    stop, rows = Timer(), iter([10, 10, 0, 5])

    def step() -> int:
        stop.now += 0.25  # the work itself takes time, which the pace allows for
        return next(rows)

    assert sum(batches.run([step] * 4, stop=stop, rate=10, clock=stop.clock)) == 25
    assert stop.waits == [0.75, 0.75, 0.0]


def test_it_stops_between_two_batches_and_says_what_was_done() -> None:
    stop, told = threading.Event(), list[int]()

    def step() -> int:
        if told:
            stop.set()  # in the middle of the second batch: that one is finished
        return 7

    for rows in batches.run([step] * 9, stop=stop):
        told.append(rows)
    assert told == [7, 7]
    assert not list(batches.run([step], stop=stop))


def test_the_first_signal_asks_and_the_second_ends() -> None:
    before = signal.getsignal(signal.SIGINT)
    with batches.stoppable() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
