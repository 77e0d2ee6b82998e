"""What the findings of a delivery say of the sink as a whole, and those of a batch of its index."""

from collections.abc import Sequence
from enum import Enum, auto

from outboxctl.domain.failures import NO_ANSWER, Classification, OutageScope, Reason, Verdict, all_done

Findings = Sequence[Classification | None]
# Answers about the sink; another retry may be about its event only.
OF_THE_SINK = NO_ANSWER | {Reason.UNAVAILABLE, Reason.GATEWAY, Reason.RATE_LIMITED}
# Outages of one index: the sink itself may take the documents of others.
OF_ONE_INDEX = frozenset(
    {Reason.INDEX_UNAVAILABLE, Reason.WRITE_BLOCKED, Reason.UNAVAILABLE, Reason.AUTH, Reason.CONFIG}
)


class Signal(Enum):
    """What a delivery says of the sink as a whole, or what a batch says of its index."""

    NOTHING = auto()  # nothing was sent, or answered, or only one index is away
    ANSWER = auto()
    UNANSWERED = auto()  # no answer about any event: it may be that of a node or of an event
    OUTAGE = auto()


def signal_of(findings: Findings, *, hold: bool) -> tuple[Signal, Classification | None]:
    """What a delivery says of the sink, and by which finding. Under `hold` any answer ends an outage."""
    tried = [finding for finding in findings if finding and not finding.attempt_returned]
    outage = next((f for f in tried if f.verdict is Verdict.OUTAGE and f.scope is OutageScope.SINK), None)
    if outage and hold:
        return Signal.OUTAGE, outage
    if not all(finding.unanswered if hold else _of_no_event(finding) for finding in tried):
        return Signal.ANSWER, None
    first = next((finding for finding in tried if finding.scope is OutageScope.SINK), None)
    return (Signal.OUTAGE if outage else Signal.UNANSWERED if first else Signal.NOTHING), outage or first


def _of_no_event(finding: Classification) -> bool:
    """Whether the sink said nothing of an event, or that it takes none, of whatever index.

    What it says of one index or event is an answer, but for a 503 of an index: the whole sink may be away.
    """
    if finding.verdict is not Verdict.OUTAGE:
        return finding.unanswered
    return finding.scope is OutageScope.SINK or (
        finding.scope is OutageScope.INDEX and finding.reason is Reason.UNAVAILABLE
    )


def _of_the_index(f: Classification) -> bool:
    return f.verdict is Verdict.OUTAGE and f.scope is OutageScope.INDEX and f.reason in OF_ONE_INDEX


def _of_no_index(finding: Classification) -> bool:
    """Whether it says nothing of the index: it was not sent, not answered, or refused by the whole sink."""
    if finding.verdict is Verdict.OUTAGE:
        return finding.unsent if finding.scope is OutageScope.EVENT else not _of_the_index(finding)
    return finding.unsent or finding.unanswered


def signal_of_index(findings: Sequence[Classification]) -> tuple[Signal, Classification | None]:
    """What all events of a batch say of the index, or of the view, of their projection; and the outage."""
    if findings and all_done(findings):
        return Signal.ANSWER, None  # the hot path
    said = [finding for finding in findings if not _of_no_index(finding)]
    if said and all(map(_of_the_index, said)):
        return Signal.OUTAGE, said[0]
    return Signal.ANSWER if said else Signal.NOTHING, None
