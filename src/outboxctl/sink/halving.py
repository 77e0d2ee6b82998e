"""Delivering a batch that the sink may refuse as a whole: halve it until the culprit is alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from outboxctl.failures import DONE, Answer, Finding, Reason, Verdict, classify
from outboxctl.sink.bulk import CONFIRMED, Action

Sent = list[Answer] | Answer | None
FUTILE = 2  # single events refused with nothing taken in between: is it the events, or the sink?
NOT_AGAIN = Answer(0, "connection_lost", "reset, and no time was left to send it again", request=True)


@dataclass(frozen=True)
class Lone:
    """An event that was refused, or reset, although it went alone; judged when the rest has been sent."""

    action: Action
    answer: Answer


Findings = list[Finding | None]


class Halving:
    """One delivery. `send` sends one request: an answer an action, one for all, or None if not sent.

    For one bad item in n it takes about 2 log2(n) requests.
    """

    def __init__(self, send: Callable[[Sequence[Action]], Sent]) -> None:
        self._send = send
        self._well: Action | None = None  # one that came through: it can vouch for the sink
        self._refused = 0  # single events in a row
        self._ill: Finding | None = None  # once the sink is to blame: what becomes of the rest

    def deliver(self, actions: Sequence[Action]) -> Findings:
        """One finding an action, in order; None for those that were never sent."""
        only, self._last = len(actions) == 1, actions[-1]
        return [self._judge(f, only=only) if isinstance(f, Lone) else f for f in self._findings(actions)]

    def _findings(self, actions: Sequence[Action]) -> list[Finding | Lone | None]:
        if self._ill:
            return [self._ill] * len(actions)
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

    def _send_through_chance(self, actions: Sequence[Action]) -> Sent:
        """One reset may be chance, two in a row may be the batch's size; the outcome of both is unknown."""
        sent = self._send(actions)
        if not _is_reset(sent):
            return sent
        return self._send(actions) or NOT_AGAIN

    def _items(self, actions: Sequence[Action], sent: list[Answer]) -> list[Finding]:
        self._well, self._refused = actions[0], 0
        return [DONE if answer is CONFIRMED else _final(classify(answer)) for answer in sent]

    def _alone_at_last(self, action: Action, answer: Answer) -> Finding | Lone:
        finding = classify(answer)
        if finding.reason not in (Reason.BAD_REQUEST, Reason.CONNECTION_LOST):
            return _final(finding)  # said of this very event: its size, its encoding
        self._refused += 1
        if self._refused >= FUTILE and not self._vouched(self._well or self._last):
            self._ill = _sinks_fault(finding)
        return Lone(action, answer)

    def _vouched(self, witness: Action | None) -> bool:
        """Whether one that came through does so again; before any did, the last one is asked."""
        if witness is None or not isinstance(self._send([witness]), list):
            return False
        self._well, self._refused = witness, 0
        return True

    def _judge(self, lone: Lone, *, only: bool) -> Finding:
        """The event's fault if others vouch for the sink; else the sink's, which costs no event its life."""
        finding = classify(lone.answer)
        if finding.reason is Reason.BAD_REQUEST:
            return _final(finding) if only or (self._well and not self._ill) else _sinks_fault(finding)
        if self._ill or not self._vouched(self._well):
            return finding
        again = self._send([lone.action])
        if isinstance(again, list):
            return self._items([lone.action], again)[0]
        too_large = Finding(Verdict.FAIL, Reason.PAYLOAD_TOO_LARGE, error=f"each time {finding.error}")
        return too_large if _is_reset(again) else finding


def _is_reset(sent: Sent) -> bool:
    return isinstance(sent, Answer) and sent.kind == "reset"


def _final(finding: Finding) -> Finding:
    """What cannot be split any more fails."""
    if finding.verdict is not Verdict.SPLIT:
        return finding
    return Finding(Verdict.FAIL, finding.reason, error=finding.error)


def _sinks_fault(finding: Finding) -> Finding:
    """A sink that refuses everything is set up wrongly; one that resets everything is retried."""
    if finding.reason is not Reason.BAD_REQUEST:
        return finding
    return Finding(Verdict.OUTAGE, Reason.CONFIG, error=finding.error)
