"""What fails is tried again, ever more rarely, but for ever; many workers do not try again all at once."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain import backoff
from outboxctl.domain.backoff import Pauses

pytestmark = pytest.mark.no_servers


@given(
    attempts=st.integers(-5, 10**9),
    base=st.floats(1e-6, 1e6),
    cap=st.floats(1e-6, 1e6),
    seed=st.integers(),
)
def test_a_wait_is_never_zero_and_never_over_the_cap(
    attempts: int, base: float, cap: float, seed: int
) -> None:
    wait = backoff.delay(attempts, base=base, cap=cap, rng=Random(seed))
    step = min(cap, base * 2.0 ** min(max(attempts, 1) - 1, 60))
    assert step / 2 <= wait <= cap


def waits(pauses: Pauses, tries: int) -> list[float]:
    """The pause after each of so many tries, all of which fail."""
    now, found = 1_000.0, list[float]()
    for _ in range(tries):
        pauses.failed(now)
        assert not pauses.due(pauses.until - 0.001)
        assert pauses.due(pauses.until)
        found.append(pauses.until - now)
        now = pauses.until
    return found


def test_each_failure_in_a_row_doubles_the_pause_up_to_the_longest() -> None:
    pauses = Pauses(0.5, 5.0)
    assert pauses.due(0.0), "nothing has failed yet"
    assert waits(pauses, 6) == [0.5, 1, 2, 4, 5, 5]
    pauses.ended()
    assert pauses.due(0.0), "a success is followed by the next try at once"
    assert waits(pauses, 2) == [0.5, 1]


def test_what_has_failed_for_weeks_is_still_tried_again() -> None:
    assert waits(Pauses(1.0, 60.0), 10_000)[-1] == 60.0


def test_workers_that_failed_together_do_not_try_again_together() -> None:
    found = [waits(Pauses(4.0, 60.0, Random(seed)), 1)[0] for seed in range(50)]
    assert len({*found}) == len(found)
    assert all(2.0 <= wait <= 4.0 for wait in found)
