"""A fill goes more slowly while live events wait, and only where that helps them."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from outboxctl.operations.rebuild.throttle import EVERY, LATE, MOST, STOPPED, RebuildThrottle


class Fill:
    """A throttle whose clock is moved from look to look, and what it said."""

    def __init__(self) -> None:
        self.now = self.waited = 0.0
        self.looks = 0
        self.said: list[str] = []
        stop = threading.Event()
        stop.set()  # nothing is waited for
        self.throttle = RebuildThrottle(self._look, stop, self.said.append, clock=lambda: self.now)

    def _look(self) -> float:
        self.looks += 1
        return self.waited

    def pauses(self, *waited: float) -> list[float]:
        """The pause at each of these looks."""
        found = []
        for self.waited in waited:
            found.append(self.throttle.wait(1_000))
            self.now += EVERY
        return found


def test_a_fill_has_no_pause_while_events_are_in_time() -> None:
    fill = Fill()
    assert fill.pauses(0, LATE / 2, LATE) == [0, 0, 0]
    assert fill.said == []


def test_the_pause_grows_while_events_are_late_and_shrinks_again() -> None:
    fill = Fill()
    pauses = fill.pauses(0, *[2 * LATE] * 10)
    assert pauses == sorted(pauses)
    assert pauses[1] > 0
    assert pauses[-1] == MOST
    assert len(fill.said) == 1
    shrinking = fill.pauses(*[0] * 30)
    assert shrinking == sorted(shrinking, reverse=True)
    assert shrinking[-1] == 0


def test_events_that_were_late_before_do_not_slow_a_fill() -> None:
    fill = Fill()
    assert fill.pauses(30, 31, 32) == [0, 0, 0]
    assert fill.pauses(0, 2 * LATE)[1] > 0


def test_a_worker_that_is_stopped_does_not_slow_a_fill_for_longer_than_a_minute() -> None:
    fill = Fill()
    waits = [EVERY * each for each in range(int(2 * STOPPED / EVERY))]
    assert fill.pauses(*waits)[-1] == 0
    assert fill.pauses(LATE * 2, LATE * 2) == [0, 0]


@given(st.lists(st.floats(0, 1_000)))
def test_a_pause_is_never_longer_than_the_longest(waited: list[float]) -> None:
    assert all(0 <= pause <= MOST for pause in Fill().pauses(*waited))
