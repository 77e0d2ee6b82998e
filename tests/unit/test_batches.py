"""Long acts go in whole batches, at a pace, and end between two of them."""

import os
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.operations import batches
from outboxctl.operations.prune import MOST, Walk

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


FOUND = st.lists(st.integers(0, 1_000_000), max_size=60)


@given(blocks=st.integers(0, 20_000), wanted=st.integers(0, 10_000), found=FOUND)
def test_every_block_is_walked_once_in_order(blocks: int, wanted: int, found: list[int]) -> None:
    walk, at, rows = Walk(blocks, wanted), 0, iter(found)
    while taken := walk.take():
        first, end = taken
        assert first == at < end <= min(blocks, first + MOST)
        at = end
        walk.adapt(next(rows, 0))
    assert at == blocks
    assert walk.take() is None


@given(per_block=st.integers(1, 226), wanted=st.integers(1, 10_000))
def test_a_dense_table_is_taken_in_batches_of_about_the_wanted_size(per_block: int, wanted: int) -> None:
    walk, batches = Walk(1_000_000, wanted), []
    for _ in range(40):
        first, end = walk.take() or (0, 0)
        batches.append((end - first) * per_block)
        walk.adapt(batches[-1])
    assert all(rows <= max(wanted, per_block) for rows in batches[20:])
    assert all(rows * 2 >= wanted or rows == MOST * per_block for rows in batches[20:])
