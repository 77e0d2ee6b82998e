"""Under 429 fewer events are in flight; as the sink copes, more again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.worker import throttle as module
from outboxctl.worker.throttle import Throttle

pytestmark = pytest.mark.no_servers
BUSY = Classification(Verdict.RETRY, Reason.RATE_LIMITED, retry_after=7)
DONE = Classification(Verdict.DONE)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def learn(throttle: Throttle, clock: list[float], *findings: Classification, cap: float = 30) -> None:
    clock[0] += 1
    throttle.learn(findings, sent_at=clock[0] - 0.5, longest_pause=cap)


def test_overload_halves_and_success_adds(clock: list[float]) -> None:
    throttle = Throttle(400)
    learn(throttle, clock, BUSY)
    learn(throttle, clock, BUSY)
    assert throttle.limit == 100
    learn(throttle, clock, *[DONE] * 100)
    assert throttle.limit == 120
    for _ in range(20):
        learn(throttle, clock, *[DONE] * throttle.limit)
    assert throttle.limit == 400


def test_what_was_sent_before_the_cut_does_not_cut_again(clock: list[float]) -> None:
    throttle = Throttle(400)
    learn(throttle, clock, BUSY)
    throttle.learn([BUSY], sent_at=clock[0] - 0.1, longest_pause=30)
    assert throttle.limit == 200


def test_the_sinks_own_pause_is_kept_but_not_beyond_the_cap(clock: list[float]) -> None:
    throttle = Throttle(400)
    learn(throttle, clock, BUSY, cap=5)
    clock[0] += 4.9
    assert throttle.admit(10, 0) == 0
    clock[0] += 0.2
    assert throttle.admit(10, 0) == 10


def test_a_batch_that_could_not_all_be_sent_in_time_makes_the_next_one_smaller(clock: list[float]) -> None:
    throttle = Throttle(400)
    clock[0] += 1
    throttle.learn([DONE, None], sent_at=clock[0], longest_pause=30)
    assert (throttle.limit, throttle.admit(1_000, 0)) == (200, 200)


@given(st.lists(st.sampled_from(["busy", "done", "lost"]), max_size=60))
def test_there_is_always_room_for_one_and_never_for_more_than_all(steps: list[str]) -> None:
    throttle = Throttle(50)
    findings: dict[str, list[Classification | None]] = {
        "busy": [Classification(Verdict.RETRY, Reason.RATE_LIMITED)],
        "done": [DONE] * 9,
        "lost": [None],
    }
    for number, step in enumerate(steps):
        throttle.learn(findings[step], sent_at=1e12 + number, longest_pause=0)
        assert 1 <= throttle.limit <= 50
        assert throttle.admit(1_000, 0) == throttle.limit
        assert throttle.admit(1_000, throttle.limit) == 0


def test_half_of_small_batches_is_half_of_large_ones(clock: list[float]) -> None:
    """Where large documents make batches small, an overloaded sink gets fewer of them all the same."""
    throttle = Throttle(3_000)
    throttle.resize(24)
    learn(throttle, clock, BUSY)
    assert throttle.limit == 12
    throttle.resize(3_000)
    assert throttle.limit == 1_500
