"""Sending documents that may be at fault in requests of their own; `domain.flow.fault` has the rule."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Classification, OutageScope, Reason, Verdict
from outboxctl.domain.flow.fault import is_accepted, needs_probe
from outboxctl.domain.flow.index_state import Document
from outboxctl.domain.printable import brief
from outboxctl.sink.delivery.bulk import PROBE, BulkAction
from outboxctl.sink.delivery.result import Delivery, Sink

PROBE_SECONDS = 2.0


def deliver_suspects_alone(
    sink: Sink, actions: Sequence[BulkAction], suspects: Collection[Document], deadline: Deadline
) -> Delivery:
    """Send the actions as `Sink.deliver`, each of a suspect alone and after all others.

    After a request without an answer the rest is not sent.
    """
    alone = [n for n, action in enumerate(actions) if document_of(action) in suspects] if suspects else []
    if not alone and len(actions) > 1:
        return sink.deliver(actions, deadline=deadline)
    others = sorted({*range(len(actions))} - {*alone})
    found = dict[int, Classification | None]()
    delivery = Delivery([], [])
    for numbers in [others, *([n] for n in alone)]:
        if not numbers:
            continue
        some = [actions[n] for n in numbers]
        if len(some) == 1:
            sent = _deliver_alone(sink, some[0], deadline, suspect=numbers != others)
        else:
            sent = sink.deliver(some, deadline=deadline)
        found.update(zip(numbers, sent.findings, strict=True))
        delivery = replace(delivery, requests=delivery.requests + sent.requests)
        if any(f is None or f.unanswered or f.attempt_returned for f in sent.findings):
            break
    findings = [found.get(n) for n in range(len(actions))]
    return replace(delivery, findings=findings, whole=len(actions) == 1)


def document_of(action: BulkAction) -> Document:
    """Return the document of an action."""
    return action.alias, action.id


def _deliver_alone(sink: Sink, action: BulkAction, deadline: Deadline, *, suspect: bool) -> Delivery:
    """Send one action; its finding counts against the event where the document is at fault."""
    if suspect and not is_accepted(probe := _probe(sink, action, deadline)):
        return Delivery([probe and _waits_for_shard(probe)], [])
    delivery = sink.deliver([action], deadline=deadline)
    (finding,) = delivery.findings
    if finding and needs_probe(finding, suspect=suspect, characters=len(action.document or "")):
        at_fault = is_accepted(_probe(sink, action, deadline))
        return replace(delivery, findings=[replace(finding, refundable=not at_fault)])
    return delivery


def _probe(sink: Sink, action: BulkAction, deadline: Deadline) -> Classification | None:
    """Return the finding of a request without an event to the shard of an action; None without time."""
    seconds = min(PROBE_SECONDS, deadline.seconds_left())
    if seconds <= 0:
        return None
    probe = PROBE._replace(routing=action.routing or action.id, alias=action.alias)
    (finding,) = sink.deliver([probe], deadline=Deadline.within(seconds)).findings
    return finding


def _waits_for_shard(probe: Classification) -> Classification:
    """Return the finding of an event that is not sent, because its shard accepts no probe."""
    return Classification(
        Verdict.OUTAGE,
        Reason.UNAVAILABLE,
        error=brief(f"not sent, because its shard accepts no request without an event: {probe.words}"),
        scope=OutageScope.EVENT,
        attempt_returned=True,
        unsent=True,
    )
