"""Metrics and logs of a batch: of the rows that settling wrote, and of the requests that were sent."""

from collections import Counter
from collections.abc import Sequence
from time import time

import structlog

from outboxctl.core.delivery.claim import Claimed
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.lifecycle import op_label
from outboxctl.metrics.registry import Metrics
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.reports import Repeats
from outboxctl.worker.settling.outcome import UNFOLDED, Outcomes

log = structlog.get_logger()
UNKNOWN = Reason.UNKNOWN_EXCEPTION
# Held events have none: the condition `sink` is logged once, when the circuit opens.
MESSAGES = {"retried": "events will be retried", "terminal": "events failed for good"}


def deliveries(metrics: Metrics, actions: Sequence[BulkAction], delivery: Delivery) -> None:
    """Count the requests and items of one delivery."""
    for request in delivery.requests:
        metrics.request(request.result, request.seconds, request.size)
    pairs = zip(actions, delivery.findings, strict=True)
    items = Counter([(action.document is None, finding.verdict) for action, finding in pairs if finding])
    for (deleted, verdict), count in items.items():
        metrics.count("items", count, "delete" if deleted else "upsert", verdict)


def settled(
    metrics: Metrics, outcomes: Outcomes, hit: set[str], ahead: set[str], repeats: Repeats | None = None
) -> int:
    """Count the rows that settling hit, and no others; returns how many became done by a delivery.

    `ahead` are those of which the index holds a newer version than the source row. Reasons that `repeats`
    has had lately are not logged again: the minute's line counts them.
    """
    repeats = repeats or Repeats()
    done = _done(metrics, outcomes, hit)
    not_done = {
        "retried": [retry.id for retry in outcomes.retries],
        "terminal": [failure.id for failure in outcomes.failures],
        "held": outcomes.held,
    }
    for outcome, ids in not_done.items():
        _not_done(metrics, outcome, [outcomes.findings[id_] for id_ in ids if id_ in hit], repeats)
    for split in outcomes.splits:
        _not_done(metrics, "retried", split.tried if split.id in hit else [], repeats)
    lost = len(outcomes.confirmed) + len(outcomes.findings) - len(hit)
    if lost:
        metrics.count("lease_lost", lost)
        log.warning("lease lost: another worker has these events now", events=lost)
    if ahead:
        metrics.count("version_ahead", len(ahead))
        log.warning(
            "the index is ahead of the source: entities recreated with versions that start again?",
            events=len(ahead),
            example=min(ahead),
        )
    return done


def _done(metrics: Metrics, outcomes: Outcomes, hit: set[str]) -> int:
    findings = outcomes.findings.items()
    noops = [pair for id_, pair in findings if pair[1].verdict is Verdict.DONE and id_ in hit]
    done = [event for event in outcomes.confirmed if event.id in hit] + [event for event, _ in noops]
    for op, count in Counter([event.op for event in done]).items():
        metrics.count("processed", count, op_label(op))
    for (op, noop), count in Counter([(event.op, finding.noop) for event, finding in noops]).items():
        if noop:
            metrics.count("noop", count, op_label(op), noop)
    delivered = len(done) - sum(finding is UNFOLDED for _, finding in noops)
    if delivered:
        metrics.set("last_success", time())
    return delivered


def _not_done(
    metrics: Metrics, outcome: str, rows: Sequence[tuple[Claimed, Classification]], repeats: Repeats
) -> None:
    counts = Counter((op_label(event.op), finding.reason or UNKNOWN) for event, finding in rows)
    for (op, reason), count in counts.items():
        metrics.not_done(outcome, op, reason, count)
    reasons = dict(Counter((finding.reason or UNKNOWN).value for _, finding in rows))
    if rows and outcome in MESSAGES and repeats.first((outcome, reason) for reason in reasons):
        event, finding = rows[0]
        message = MESSAGES[outcome]
        log.warning(message, events=len(rows), reasons=reasons, example=event.id, error=finding.error)
