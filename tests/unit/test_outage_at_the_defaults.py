"""Lab 2 at the defaults: an outage of two to three minutes fails nothing, and lab 4 ends as written."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.core.delivery.claim import Claimed
from outboxctl.domain import backoff
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.settings import OutagePolicy, Settings
from outboxctl.worker.settling.outcome import RetryPolicy, decide

pytestmark = pytest.mark.no_servers
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
POLICY = RetryPolicy(
    DEFAULTS["max_attempts"],
    DEFAULTS["base_backoff_seconds"],
    DEFAULTS["max_backoff_seconds"],
    hold=DEFAULTS["outage_policy"] is OutagePolicy.HOLD,
)
LAB_4 = RetryPolicy(max_attempts=3, base=0.2, cap=1.0)
REFUSED = Classification(Verdict.OUTAGE, Reason.CONNECT)
THREE_MINUTES = 180.0


class Chosen(Random):
    """Jitter that is given: between 0.0, the shortest wait, and 1.0, the longest."""

    def __init__(self, jitter: list[float]) -> None:
        super().__init__(0)
        self._jitter = iter(jitter)

    def random(self) -> float:
        return next(self._jitter, 0.0)


def attempts_until(end: float, policy: RetryPolicy, rng: Random) -> Iterator[tuple[float, int, bool]]:
    """Each attempt of one event at a sink that refuses at once: second, number, whether it failed for good.

    The event is claimed at the moment it is due, so no real worker spends attempts faster.
    """
    now, attempt = 0.0, 1
    while now < end:
        event = Claimed("e", "block:x", "upsert", 1, attempt, 1, "{}")
        outcomes = decide([(event, REFUSED)], policy, rng)
        yield now, attempt, bool(outcomes.failures)
        if outcomes.failures:
            return
        wait = outcomes.retries[0].delay
        assert wait
        now, attempt = now + wait, attempt + 1


@given(jitter=st.lists(st.floats(0.0, 1.0), max_size=POLICY.max_attempts))
def test_no_event_fails_in_three_minutes_of_outage(jitter: list[float]) -> None:
    tried = list(attempts_until(THREE_MINUTES, POLICY, Chosen(jitter)))
    assert not any(failed for _, _, failed in tried)
    # Section 5.5 of the lab document saw attempts 8 and 9; a few, and not one a second.
    assert 9 <= tried[-1][1] <= 20


def test_a_page_comes_before_the_first_event_fails() -> None:
    *_, (first_failure, _, failed) = attempts_until(3600, POLICY, Chosen([]))
    assert failed
    assert first_failure == backoff.survives(POLICY.max_attempts, base=POLICY.base, cap=POLICY.cap)
    oldest_age_alert = DEFAULTS["sla_oldest_age_seconds"] + 60  # its `for`
    assert first_failure > oldest_age_alert
    assert first_failure > 1.5 * THREE_MINUTES


@given(jitter=st.lists(st.floats(0.0, 1.0), max_size=LAB_4.max_attempts))
def test_lab_4_still_ends_in_failed_after_three_attempts(jitter: list[float]) -> None:
    second, attempt, failed = list(attempts_until(THREE_MINUTES, LAB_4, Chosen(jitter)))[-1]
    assert (attempt, failed) == (3, True)
    assert second <= 0.2 + 0.4
