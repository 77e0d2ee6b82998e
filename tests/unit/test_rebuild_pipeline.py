"""What a rebuild reads ahead is sent by several at once, and counted in order: its place is never too far."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.operations.pipeline import in_lanes
from outboxctl.operations.rebuild import rounds as rebuild_rounds
from outboxctl.operations.rebuild.sending import SENDERS, WAITING, sent
from outboxctl.operations.rebuild.throttle import EVERY, LATE, MOST, STOPPED, RebuildThrottle

pytestmark = pytest.mark.no_servers
LONG = 10.0  # seconds
IN_FLIGHT = SENDERS + WAITING


class Pages:
    """Numbers that are read, and counted; `closed` once nobody reads them any more."""

    def __init__(self, number: int, *, fails_at: int = -1) -> None:
        self.number, self.fails_at, self.read, self.closed_by = number, fails_at, 0, ""

    def __iter__(self) -> Iterator[int]:
        try:
            for page in range(self.number):
                if page == self.fails_at:
                    raise ValueError(page)
                self.read += 1
                yield page
        finally:
            self.closed_by = threading.current_thread().name


def test_results_come_in_order_although_a_later_one_is_there_first() -> None:
    late, others = threading.Event(), threading.Semaphore(0)

    def send(page: int) -> int:
        if page == 0:
            assert late.wait(LONG)
        else:
            others.release()
        return -page

    with sent(iter(Pages(20)), send, threading.Event()) as results, ThreadPoolExecutor(1) as reader:
        found = reader.submit(lambda: [*results])
        for _ in range(IN_FLIGHT - 1):  # the others go on meanwhile: no sender waits for the oldest
            assert others.acquire(timeout=LONG)
        assert not found.done()
        late.set()
        assert found.result(LONG) == [(page, -page) for page in range(20)]


def test_after_a_stop_what_is_in_flight_counts_and_nothing_more_is_sent() -> None:
    stop, sending = threading.Event(), list[int]()
    pages = Pages(1_000)
    with sent(iter(pages), sending.append, stop) as results:
        next(results)
        stop.set()
        rest = [page for page, _ in results]
    assert [0, *rest] == sorted(sending)
    assert len(sending) <= 2 * IN_FLIGHT
    assert pages.closed_by == "reader"


def test_an_error_comes_in_its_place_and_ends_all_threads() -> None:
    before = threading.active_count()
    for fails_at, send in ((7, lambda page: page), (-1, lambda page: 1 // (7 - page))):
        pages, seen = Pages(100, fails_at=fails_at), list[int]()
        with (
            pytest.raises((ValueError, ZeroDivisionError)),
            sent(iter(pages), send, threading.Event()) as results,
        ):
            seen.extend(page for page, _ in results)
        assert pages.closed_by == "reader"
    assert threading.active_count() == before


def test_a_comparison_that_is_left_waits_for_nobody() -> None:
    forever, begun = threading.Event(), threading.Event()

    def hang(_: int) -> bool:
        begun.set()
        return forever.wait(60)

    def interrupted() -> Iterator[int]:
        yield 1
        assert begun.wait(10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), in_lanes(hang, interrupted(), 2) as done:
        next(done)
    running = [thread for thread in threading.enumerate() if thread.name == "lane"]
    assert [thread.daemon for thread in running] == [True] * len(running) != []
    forever.set()


@dataclass
class Saved:
    """In place of the tools: what was saved at the end."""

    phase: str = ""

    def save(self, rebuild: Any, *, phase: str) -> Any:
        """Keep the phase."""
        self.phase = phase
        return rebuild


def rounds(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[bool]:
    """For rounds that take so long: whether each that was made gave way."""
    now, left, made = [0.0], list(seconds), list[bool]()

    def follow(_tools: Any, rebuild: Any, *, gives_way: bool) -> Any:
        made.append(gives_way)
        now[0] += left.pop(0)
        return rebuild

    monkeypatch.setattr(rebuild_rounds, "follow", follow)
    monkeypatch.setattr(rebuild_rounds, "monotonic", lambda: now[0])
    tools: Any = Saved()
    row: Any = None
    rebuild_rounds.catch_up(tools, row)
    assert tools.phase == "swap"
    return made


def test_a_short_round_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rounds(monkeypatch, 1) == [True]
    assert rounds(monkeypatch, 40, 10, 2) == [True] * 3


def test_rounds_that_do_not_become_shorter_end_with_one_that_gives_way_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert rounds(monkeypatch, 40, 38, 20) == [True, True, False]
    assert rounds(monkeypatch, 40, 60, 70) == [True, True, False]
    assert rounds(monkeypatch, 40, 20, 10, 9, 8) == [True, True, True, True, False]


def test_there_are_five_rounds_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rounds(monkeypatch, 100, 50, 25, 12, 6) == [True] * 5


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
