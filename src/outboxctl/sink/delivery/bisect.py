"""Delivering a batch that the sink may refuse as a whole: halve it until the culprit is alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from outboxctl.domain.failures import DONE, Answer, Classification, Reason, Verdict, classify
from outboxctl.sink.delivery.bulk import CONFIRMED, PROBE, BulkAction

Sent = list[Answer] | Answer | None
FUTILE = 2  # single events refused with nothing taken in between: is it the events, or the sink?
# Reasons that, for an event sent alone, do not show whether the event or the sink is at fault.
AMBIGUOUS = (Reason.BAD_REQUEST, Reason.CONFIG, Reason.CONNECTION_LOST)
NOT_AGAIN = Answer(0, "connection_lost", "reset, and no time was left to send it again", request=True)


@dataclass(frozen=True)
class Lone:
    """An event that was refused, or reset, although it went alone; judged when the rest has been sent.

    `taken` is how many requests the sink had taken by then.
    """

    action: BulkAction
    answer: Answer
    taken: int


Findings = list[Classification | None]


class Bisection:
    """One delivery. `send` sends one request: an answer an action, one for all, or None if not sent.

    For one bad item in n it takes about 2 log2(n) requests.
    """

    def __init__(self, send: Callable[[Sequence[BulkAction]], Sent]) -> None:
        self._send = send
        self._known_good: BulkAction | None = None  # the last one that the sink took
        self._taken = 0  # requests that the sink took, whatever it answered of their items
        self._refused = 0  # single events in a row
        self._outage: Classification | None = None  # once the sink is at fault: the finding of the rest

    def deliver(self, actions: Sequence[BulkAction]) -> Findings:
        """One finding an action, in order; None for those that were never sent."""
        self._last = actions[-1]
        return [self._judge(f) if isinstance(f, Lone) else f for f in self._findings(actions)]

    def _findings(self, actions: Sequence[BulkAction]) -> list[Classification | Lone | None]:
        if self._outage:
            return [self._outage] * len(actions)
        sent = self._send_through_chance(actions)
        if sent is None:
            return [None] * len(actions)
        if isinstance(sent, list):
            return [*self._items(actions, sent)]
        finding = classify(sent)
        if sent.kind != "reset" and finding.verdict is not Verdict.SPLIT:
            return [finding] * len(actions)
        if len(actions) > 1:
            middle = len(actions) // 2
            return self._findings(actions[:middle]) + self._findings(actions[middle:])
        return [self._alone_at_last(actions[0], sent)]

    def _send_through_chance(self, actions: Sequence[BulkAction]) -> Sent:
        """One reset may be chance, two in a row may be the batch's size; the outcome of both is unknown."""
        sent = self._send(actions)
        if not _is_reset(sent):
            return sent
        return self._send(actions) or NOT_AGAIN

    def _items(self, actions: Sequence[BulkAction], sent: list[Answer]) -> list[Classification]:
        self._took(actions[0])
        return [DONE if answer is CONFIRMED else _final(classify(answer)) for answer in sent]

    def _took(self, action: BulkAction) -> None:
        self._known_good, self._refused, self._taken = action, 0, self._taken + 1

    def _alone_at_last(self, action: BulkAction, answer: Answer) -> Classification | Lone:
        finding = classify(answer)
        if finding.reason not in AMBIGUOUS:
            return _final(finding)  # said of this very event: its size, its encoding
        self._refused += 1
        if self._refused >= FUTILE and not self._sink_takes(self._known_good or self._confirm_with(answer)):
            self._outage = _sinks_fault(finding)
        return Lone(action, answer, self._taken)

    def _confirm_with(self, answer: Answer) -> BulkAction:
        """What is sent to test the sink where it has taken nothing yet: a reset can be a matter of size."""
        return self._last if _is_reset(answer) else PROBE

    def _sink_takes(self, witness: BulkAction | None) -> bool:
        """Whether the sink takes this action now."""
        if witness is None or not isinstance(self._send([witness]), list):
            return False
        self._took(witness)
        return True

    def _judge(self, lone: Lone) -> Classification:
        """The event is at fault only where the sink takes another one; else the sink is."""
        finding = classify(lone.answer)
        if finding.verdict is Verdict.SPLIT:
            return self._judge_refused(lone, finding)
        if self._outage or not self._sink_takes(self._known_good):
            return finding
        again = self._send([lone.action])
        if isinstance(again, list):
            return self._items([lone.action], again)[0]
        too_large = Classification(Verdict.FAIL, Reason.PAYLOAD_TOO_LARGE, error=f"each time {finding.error}")
        return too_large if _is_reset(again) else finding

    def _judge_refused(self, lone: Lone, finding: Classification) -> Classification:
        """The event fails if the sink has taken another one since, and then refuses this one again.

        It is sent again because the sink may have refused everything at the time of the first answer.
        """
        taken_since = self._taken > lone.taken
        if self._outage or not (taken_since or self._sink_takes(self._known_good or PROBE)):
            return _sinks_fault(finding)
        again = self._send([lone.action])
        if isinstance(again, list):
            return self._items([lone.action], again)[0]
        if again is None:  # no time was left to be sure
            return Classification(Verdict.RETRY, finding.reason, error=finding.error)
        found = _final(classify(again))
        return replace(found, single=True) if found.reason is Reason.CONFIG else found


def _is_reset(sent: Sent) -> bool:
    return isinstance(sent, Answer) and sent.kind == "reset"


def _final(finding: Classification) -> Classification:
    """What cannot be split any more fails, unless the answer is not an engine's."""
    if finding.verdict is not Verdict.SPLIT:
        return finding
    if finding.reason is Reason.CONFIG:
        return _sinks_fault(finding)
    return Classification(Verdict.FAIL, finding.reason, error=finding.error)


def _sinks_fault(finding: Classification) -> Classification:
    """A sink that refuses everything is set up wrongly; one that resets everything is retried."""
    if finding.verdict is not Verdict.SPLIT:
        return finding
    return Classification(Verdict.OUTAGE, Reason.CONFIG, error=finding.error)
