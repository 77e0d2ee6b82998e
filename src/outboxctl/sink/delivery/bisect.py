"""Delivering a batch that the sink may refuse as a whole: halve it until the event at fault is alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from outboxctl.domain.failures import DONE, Answer, Classification, OutageScope, Reason, Verdict, classify
from outboxctl.sink.delivery.bulk import CONFIRMED, PROBE, BulkAction

Sent = list[Answer] | Answer | None
MAX_REFUSED = 2  # single events refused in a row, before the sink is tested: it may refuse everything
# Times that an event is reset while the sink takes another one before and after, until it is at fault: a node
# that is stopped resets each connection once.
RESETS = 2
# Reasons that, for an event sent alone, do not show whether the event or the sink is at fault.
AMBIGUOUS = (Reason.BAD_REQUEST, Reason.CONFIG, Reason.CONNECTION_LOST)
NOT_RESENT = Answer(0, "connection_lost", "reset, and no time was left to send it again", request=True)


@dataclass(frozen=True)
class Lone:
    """An event refused alone, judged when the rest was sent; `accepted`: requests taken by then."""

    action: BulkAction
    answer: Answer
    accepted: int


Findings = list[Classification | None]


class Bisection:
    """One delivery; `send` sends one request (None: not sent). A bad item in n takes about 2 log2(n)."""

    def __init__(self, send: Callable[[Sequence[BulkAction]], Sent]) -> None:
        self._send = send
        self._known_good: BulkAction | None = None  # the last one that the sink accepted
        self._accepted = 0  # requests that the sink accepted, whatever it answered of their items
        self._refused = 0  # single events in a row
        self._outage: Classification | None = None  # once the sink is at fault: the finding of the rest

    def deliver(self, actions: Sequence[BulkAction]) -> Findings:
        """One finding an action, in order; None for those that were never sent."""
        self._last = actions[-1]
        return [self._judge(f) if isinstance(f, Lone) else f for f in self._findings(actions)]

    def _findings(self, actions: Sequence[BulkAction]) -> list[Classification | Lone | None]:
        if self._outage:
            return [self._outage] * len(actions)
        sent = self._send(actions)
        if _is_reset(sent):  # one may be chance, two in a row may be the batch's size
            sent = self._send(actions) or NOT_RESENT
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
        return [self._refused_alone(actions[0], sent)]

    def _items(self, actions: Sequence[BulkAction], sent: list[Answer]) -> list[Classification]:
        self._note_accepted(actions[0])
        return [DONE if answer is CONFIRMED else _final(classify(answer)) for answer in sent]

    def _note_accepted(self, action: BulkAction) -> None:
        self._known_good, self._refused, self._accepted = action, 0, self._accepted + 1

    def _refused_alone(self, action: BulkAction, answer: Answer) -> Classification | Lone:
        finding = classify(answer)
        if finding.reason not in AMBIGUOUS:
            return _final(finding)  # the answer is about this event: its size, its encoding
        self._refused += 1
        # What tests a sink that has accepted nothing yet: a reset can be caused by size.
        test = self._known_good or (self._last if _is_reset(answer) else PROBE)
        if self._refused >= MAX_REFUSED and not self._sink_accepts(test):
            self._outage = _fault_of_sink(finding)
        return Lone(action, answer, self._accepted)

    def _sink_accepts(self, action: BulkAction | None) -> bool:
        """Whether the sink accepts a request of this action now."""
        if action is None or not isinstance(self._send([action]), list):
            return False
        self._note_accepted(action)
        return True

    def _judge(self, lone: Lone) -> Classification:
        """The event is at fault only where the sink accepts another one; else the sink is."""
        finding = classify(lone.answer)
        if finding.verdict is Verdict.SPLIT:
            return self._judge_refused(lone, finding)
        for _ in range(RESETS):
            if not self._takes_known_good():
                return finding
            again = self._send([lone.action])
            if isinstance(again, list):
                return self._items([lone.action], again)[0]
            if not _is_reset(again):
                return finding
        if not self._takes_known_good():
            return finding
        return Classification(Verdict.FAIL, Reason.PAYLOAD_TOO_LARGE, error=f"each time {finding.error}")

    def _takes_known_good(self) -> bool:
        """Whether the sink takes now what it took before."""
        return not self._outage and self._sink_accepts(self._known_good)

    def _judge_refused(self, lone: Lone, finding: Classification) -> Classification:
        """The event fails if the sink has accepted another since, and then refuses this one again."""
        accepted_since = self._accepted > lone.accepted
        if self._outage or not (accepted_since or self._sink_accepts(self._known_good or PROBE)):
            return _fault_of_sink(finding)
        again = self._send([lone.action])
        if isinstance(again, list):
            return self._items([lone.action], again)[0]
        if again is None:  # no time was left to send it again
            return Classification(Verdict.RETRY, finding.reason, error=finding.error, refundable=True)
        final = _final(classify(again))
        return replace(final, scope=OutageScope.EVENT) if final.reason is Reason.CONFIG else final


def _is_reset(sent: Sent) -> bool:
    return isinstance(sent, Answer) and sent.kind == "reset"


def _final(finding: Classification) -> Classification:
    """The finding of an event that cannot be split: it fails, unless the answer is not an engine's."""
    if finding.verdict is not Verdict.SPLIT:
        return finding
    if finding.reason is Reason.CONFIG:
        return _fault_of_sink(finding)
    return Classification(Verdict.FAIL, finding.reason, error=finding.error)


def _fault_of_sink(finding: Classification) -> Classification:
    """A sink that refuses everything is misconfigured; one that resets everything is retried."""
    if finding.verdict is not Verdict.SPLIT:
        return finding
    return Classification(Verdict.OUTAGE, Reason.CONFIG, error=finding.error)
