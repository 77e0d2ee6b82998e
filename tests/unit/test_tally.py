"""A row that settling did not hit belongs to somebody else, and is counted as nothing but that."""

from random import Random

import pytest

from outboxctl.core.delivery.claim import Claimed
from outboxctl.domain.failures import DONE, Classification, Noop, Reason, Verdict
from outboxctl.metrics.registry import Metrics
from outboxctl.worker.settling.outcome import RetryPolicy, decide
from outboxctl.worker.settling.tally import settled

pytestmark = pytest.mark.no_servers
POLICY = RetryPolicy(max_attempts=3, base=0.5, cap=30, hold=True)


def counted(metrics: Metrics, name: str) -> float:
    lines = [line for line in metrics.snapshot().decode().splitlines() if line.startswith(f"{name}{{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


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
    outcomes = decide([(event, finding) for event in events], POLICY, Random(1))
    metrics, verdict = Metrics(), finding.verdict
    settled(metrics, outcomes, {"ours"}, set())
    assert counted(metrics, "outbox_idempotent_noop_total") == bool(finding.noop)
    assert counted(metrics, "outbox_processed_total") == (verdict is Verdict.DONE)
    assert counted(metrics, "outbox_failed_total") == (verdict is not Verdict.DONE)
    assert counted(metrics, "outbox_retry_scheduled_total") == (verdict is Verdict.RETRY)
    assert counted(metrics, "outbox_terminal_failed_total") == (verdict is Verdict.FAIL)
    assert counted(metrics, "outbox_lease_lost_total") == 1
