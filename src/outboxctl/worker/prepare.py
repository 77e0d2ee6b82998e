"""From claimed events to what is sent: pure, no I/O.

The document follows the source row, not the event: the event says "look again", the row read with
the claim says what is true. So a late, duplicated or replayed event is harmless.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from outboxctl.core.claim import LEFT_OUT, Claimed
from outboxctl.core.produce import MAX_VERSION
from outboxctl.failures import Finding, Noop, Reason, Verdict
from outboxctl.lifecycle import OPS
from outboxctl.sink.bulk import Action
from outboxctl.wording import brief

# No word of the sink: the time was up before this one's turn came, or its document had no room in the
# batch. It goes back with its attempt.
UNSENT = Finding(Verdict.RETRY, Reason.TIMEOUT, error="not sent")
MAX_ID_BYTES = 512  # Elasticsearch's limit on `_id`


@dataclass
class Prepared:
    """Findings that need no sending, and the actions with the events that each one stands for.

    `left_out`: for some documents there was no room in the batch; their events are among the decided.
    """

    decided: list[tuple[Claimed, Finding]] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    events: list[list[Claimed]] = field(default_factory=list)
    left_out: bool = False


def prepare(batch: Sequence[Claimed]) -> Prepared:
    """Decide what can be decided without the sink; several events of one entity are sent once."""
    prepared = Prepared()
    by_entity: dict[str, list[Claimed]] = {}
    for event in batch:
        finding = _refusal(event) or _invisible(event)
        if finding:
            prepared.decided.append((event, finding))
        else:
            by_entity.setdefault(event.document_id, []).append(event)
    for id_, events in by_entity.items():
        _add(prepared, id_, events)
    return prepared


def _add(prepared: Prepared, id_: str, events: list[Claimed]) -> None:
    action = _action(id_, events)
    if action.document == LEFT_OUT:
        prepared.left_out = True
        prepared.decided += [(event, UNSENT) for event in events]
    else:
        prepared.actions.append(action)
        prepared.events.append(events)


def judge(prepared: Prepared, findings: Sequence[Finding | None]) -> list[tuple[Claimed, Finding]]:
    """Every event of the batch with its finding: what the sink said, spread over coalesced events."""
    judged = list(prepared.decided)
    for events, finding in zip(prepared.events, findings, strict=True):
        newest = events[0] if len(events) == 1 else max(events, key=_version)
        judged += [(event, _own(event, finding or UNSENT, newest=event is newest)) for event in events]
    return judged


def _own(event: Claimed, finding: Finding, *, newest: bool) -> Finding:
    if finding.verdict is not Verdict.DONE:
        return finding
    if not newest:
        return Finding(Verdict.DONE, noop=Noop.COALESCED)
    if event.op == "upsert" and event.document is None and finding.noop is not Noop.SUPERSEDED:
        return Finding(Verdict.DONE, noop=Noop.SOURCE_MISSING)
    return finding


def _action(id_: str, events: list[Claimed]) -> Action:
    # All events of the entity in this batch read the same source row, in the claim's snapshot. The oldest
    # comes first: if there was no room for its document, there was none for the others' either.
    source = events[0]
    if source.document is not None and source.source_version is not None:
        return Action(id_, source.source_version, source.document)
    return Action(id_, max(map(_version, events)), None)


def _version(event: Claimed) -> int:
    return event.event_version or 0


def _refusal(event: Claimed) -> Finding | None:
    if event.op not in OPS:
        return _never(f"ValueError: Unknown outbox op: {event.op!r}")
    if not _in_range(event.event_version):
        return _never(f"event_version is not in 0..2^63-1: {event.event_version}")
    if event.document is not None and not _in_range(event.source_version):
        return _never(f"the source row's event_version is not in 0..2^63-1: {event.source_version}")
    return _unusable(event.document_id)


def _unusable(document_id: str) -> Finding | None:
    try:
        too_long = len(document_id.encode()) > MAX_ID_BYTES
    except UnicodeEncodeError:
        return _never(f"the document id is no UTF-8: {document_id!r}")
    return _never(f"the document id is over {MAX_ID_BYTES} bytes: {document_id}") if too_long else None


def _in_range(version: int | None) -> bool:
    return version is not None and 0 <= version <= MAX_VERSION


def _never(text: str) -> Finding:
    return Finding(Verdict.FAIL, Reason.DETERMINISTIC_EXCEPTION, error=brief(text))


def _invisible(event: Claimed) -> Finding | None:
    if event.source_version is None or event.event_version is None or event.document is None:
        return None
    if event.source_version >= event.event_version:
        return None
    text = f"the source row is at version {event.source_version}, the event at {event.event_version}"
    return Finding(Verdict.RETRY, Reason.SOURCE_NOT_VISIBLE, error=text)
