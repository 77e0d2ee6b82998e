"""A fresh worker's metrics fit on a screen, and no first failure is missed for it."""

import re

import pytest

from outboxctl.domain.failures import Noop, Reason
from outboxctl.metrics import registry
from outboxctl.metrics.registry import BY_REASON, METRICS, Metrics

pytestmark = pytest.mark.no_servers
# The names in the lab document's `curl | egrep`.
DOCUMENT = {
    f"outbox_{name}"
    for name in [
        "lag_events",
        "oldest_age_seconds",
        "inflight_events",
        "processed_total",
        "failed_total",
        "stuck_processing_events",
        "retry_scheduled_total",
        "terminal_failed_total",
    ]
}


def series(metrics: Metrics) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in metrics.snapshot().decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, _, value in lines}


def test_a_fresh_worker_shows_each_metric_at_zero_and_no_matrix_of_zeros() -> None:
    metrics = Metrics()
    shown = series(metrics)
    assert set(shown.values()) == {0.0}
    assert len(shown) <= 66
    printed = [name for each in shown if (name := each.partition("{")[0]) in DOCUMENT]
    assert set(printed) == DOCUMENT
    assert len(printed) <= 20
    families = {name for name, *_ in metrics.families()}
    assert {re.sub("_(bucket|count|sum)$", "", each.partition("{")[0]) for each in shown} == families
    for noop in Noop:
        assert any(f'reason="{noop}"' in each for each in shown)


@pytest.mark.parametrize("outcome", ["retried", "terminal", "held"])
def test_a_reason_that_is_counted_once_appears_in_all_three_metrics(outcome: str) -> None:
    """An event that is retried now may fail for good later: that series must have been there at 0."""
    metrics = Metrics()
    before = series(metrics)
    metrics.not_done(outcome, "upsert", Reason.GATEWAY, 3)
    new = {name.partition("{")[0]: value for name, value in series(metrics).items() if name not in before}
    names = {key: METRICS[key][0] for key in BY_REASON}
    counted = {names["failed"], names.get(outcome)}
    assert new == {name: 3.0 * (name in counted) for name in names.values()}


def test_what_ends_an_event_at_its_first_attempt_is_there_at_zero() -> None:
    """Its first series would appear at 1, and the panel by reason would miss it."""
    once = {Reason.MAPPING, Reason.BAD_REQUEST, Reason.BAD_DOCUMENT, Reason.PAYLOAD_TOO_LARGE}
    once |= {Reason.DETERMINISTIC_EXCEPTION, Reason.LEASE_EXPIRED}
    assert {reason for _, reason in registry.AT_ZERO["terminal"]} == once
