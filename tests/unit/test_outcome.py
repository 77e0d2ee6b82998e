"""Attempts end; only a row that was hit is counted."""

from dataclasses import replace
from random import Random

import pytest

from outboxctl.core.delivery.claim import Claimed
from outboxctl.domain.failures import (
    DONE,
    Answer,
    Classification,
    Noop,
    OutageScope,
    Reason,
    Verdict,
    classify,
)
from outboxctl.metrics.registry import Metrics
from outboxctl.worker.settling.outcome import RetryPolicy, decide
from outboxctl.worker.settling.tally import settled
from sink.rows.bench import metric

pytestmark = pytest.mark.no_servers
POLICY = RetryPolicy(max_attempts=3, base=0.5, cap=30)
HOLD = RetryPolicy(max_attempts=1, base=0.5, cap=30, hold=True)


def test_hold_gives_an_outage_back_and_nothing_else() -> None:
    events = [Claimed(verdict, "block:x", "upsert", 1, 1, 1, "{}") for verdict in Verdict]
    findings = [(event, Classification(Verdict(event.id), Reason.CONNECT)) for event in events]
    outcomes = decide(findings, HOLD, Random(1))
    assert outcomes.held == ["outage"]
    assert {failure.id for failure in outcomes.failures} == {"retry", "fail", "split"}


def test_hold_gives_back_what_a_request_cost_that_ended_without_a_word_about_the_event() -> None:
    """A timeout may be a node's, and so does not count; it is no reason to wait longer than a moment."""
    requests = [
        Answer(0, kind, request=True) for kind in ("timeout", "connection_lost", "reset", "bad_response")
    ]
    requests += [Answer(status, request=True) for status in (429, 500, 502, 504, 418)]
    items = [Answer(429, "es_rejected_execution_exception"), Answer(502, "bad_gateway")]
    findings = [classify(answer) for answer in requests + items]
    events = [Claimed(str(n), "block:x", "upsert", 1, 1, 1, "{}") for n in range(len(findings))]
    outcomes = decide(list(zip(events, findings, strict=True)), HOLD, Random(1))
    assert [retry.attempt_returned for retry in outcomes.retries] == [True] * len(findings)
    assert all(retry.delay and retry.delay <= 2 for retry in outcomes.retries)
    at_fault = [(events[0], replace(findings[0], refundable=False))]
    assert len(decide(at_fault, HOLD, Random(1)).failures) == 1, "found to be the event's own fault"
    counted = decide(list(zip(events, findings, strict=True)), POLICY, Random(1)).retries
    assert not any(retry.attempt_returned for retry in counted)


def test_an_event_whose_shard_accepts_no_writes_keeps_its_attempt_under_hold() -> None:
    """Under `count` it is tried again with the backoff of its attempts, until these are spent."""
    finding = classify(Answer(503, "unavailable_shards_exception", "[x][0] primary shard is not active"))
    event = Claimed("e", "block:x", "upsert", 1, 1, 1, "{}")
    (kept,) = decide([(event, finding)], HOLD, Random(1)).retries
    assert kept.attempt_returned
    assert kept.delay
    assert kept.delay >= 15, "retries are claimed first: many that wait must not come back each second"
    (spent,) = decide([(event, finding)], POLICY, Random(1)).retries
    assert not spent.attempt_returned
    assert spent.delay
    assert spent.delay <= 0.5
    assert decide([(event._replace(attempts=3), finding)], POLICY, Random(1)).failures


def test_hold_lets_an_event_wait_that_alone_is_refused_and_gives_its_attempt_back() -> None:
    """Else it is the oldest one due, and each probe of the circuit is it again."""
    event = Claimed("e", "block:x", "upsert", 1, 1, 1, "{}")
    finding = Classification(Verdict.OUTAGE, Reason.CONFIG, error="400", scope=OutageScope.EVENT)
    outcomes = decide([(event, finding)], HOLD, Random(1))
    assert (outcomes.held, outcomes.failures) == ([], [])
    (retry,) = outcomes.retries
    assert (retry.reason, retry.error, retry.attempt_returned) == (Reason.CONFIG, "400", True)
    assert retry.delay
    assert 15 <= retry.delay <= 30


FINDINGS = {
    "done": DONE,
    "superseded": Classification(Verdict.DONE, noop=Noop.SUPERSEDED),
    "retry": Classification(Verdict.RETRY, Reason.CONNECT),
    "fail": Classification(Verdict.FAIL, Reason.CONNECT),
    "outage": Classification(Verdict.OUTAGE, Reason.CONNECT),
}


@pytest.mark.parametrize("finding", FINDINGS.values(), ids=FINDINGS)
def test_only_what_was_hit_is_counted(finding: Classification) -> None:
    events = [Claimed(name, f"block:{name}", "upsert", 1, 1, 1, "{}") for name in ("ours", "theirs")]
    outcomes = decide([(event, finding) for event in events], replace(POLICY, hold=True), Random(1))
    metrics, verdict = Metrics(), finding.verdict
    settled(metrics, outcomes, {"ours"}, set())
    assert metric(metrics, "outbox_idempotent_noop_total") == bool(finding.noop)
    assert metric(metrics, "outbox_processed_total") == (verdict is Verdict.DONE)
    assert metric(metrics, "outbox_failed_total") == (verdict is not Verdict.DONE)
    assert metric(metrics, "outbox_retry_scheduled_total") == (verdict is Verdict.RETRY)
    assert metric(metrics, "outbox_terminal_failed_total") == (verdict is Verdict.FAIL)
    assert metric(metrics, "outbox_lease_lost_total") == 1
