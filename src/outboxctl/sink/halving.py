"""Delivering a batch that the sink may refuse as a whole: halve it until the culprit is alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from outboxctl.failures import DONE, Answer, Finding, Reason, Verdict, classify
from outboxctl.sink.bulk import CONFIRMED, Action

Sent = list[Answer] | Answer | None
FUTILE = 2  # single events reset with nothing answered in between: the sink is ill, not the events

NOT_AGAIN = Answer(0, "connection_lost", "reset, and no time was left to send it again", request=True)


@dataclass(frozen=True)
class Lone:
    """An event that was reset each time although it went alone; judged when the rest has been sent."""

    action: Action
    lost: Finding


Findings = list[Finding | None]


class Halving:
    """One delivery. `send` sends one request: an answer an action, one for all, or None if not sent.

    For one bad item in n it takes about 2 log2(n) requests.
    """

    def __init__(self, send: Callable[[Sequence[Action]], Sent]) -> None:
        self._send = send
        self._well: Action | None = None  # one that came through: proof that the sink lives
        self._silent = 0

    def deliver(self, actions: Sequence[Action]) -> Findings:
        """One finding an action, in order; None for those that were never sent."""
        return [self._judge(f) if isinstance(f, Lone) else f for f in self._findings(actions)]

    def _findings(self, actions: Sequence[Action]) -> list[Finding | Lone | None]:
        sent = self._send_through_chance(actions)
        if sent is None:
            return [None] * len(actions)
        if isinstance(sent, list):
            return [*self._items(actions, sent)]
        finding = classify(sent)
        if sent.kind == "reset":
            return self._after_resets(actions, finding)
        if finding.verdict is not Verdict.SPLIT:
            return [finding] * len(actions)
        if len(actions) == 1:
            return [_alone(finding)]
        return self._halves(actions)

    def _send_through_chance(self, actions: Sequence[Action]) -> Sent:
        """One reset may be chance, two in a row may be the batch's size; the outcome of both is unknown."""
        sent = self._send(actions)
        if not _is_reset(sent):
            return sent
        return self._send(actions) or NOT_AGAIN

    def _items(self, actions: Sequence[Action], sent: list[Answer]) -> list[Finding]:
        self._well, self._silent = actions[0], 0
        return [DONE if answer is CONFIRMED else _alone(classify(answer)) for answer in sent]

    def _halves(self, actions: Sequence[Action]) -> list[Finding | Lone | None]:
        middle = len(actions) // 2
        return self._findings(actions[:middle]) + self._findings(actions[middle:])

    def _after_resets(self, actions: Sequence[Action], lost: Finding) -> list[Finding | Lone | None]:
        if self._silent >= FUTILE:
            return [lost] * len(actions)
        if len(actions) > 1:
            return self._halves(actions)
        self._silent += 1
        return [Lone(actions[0], lost)]

    def _judge(self, lone: Lone) -> Finding:
        """Too large for something on the way if another came through, does so again, and this one never."""
        if self._well is None or self._silent >= FUTILE or not isinstance(self._send([self._well]), list):
            return lone.lost
        again = self._send([lone.action])
        if isinstance(again, list):
            return self._items([lone.action], again)[0]
        too_large = Finding(Verdict.SPLIT, Reason.PAYLOAD_TOO_LARGE, error=f"each time {lone.lost.error}")
        return _alone(too_large) if _is_reset(again) else lone.lost


def _is_reset(sent: Sent) -> bool:
    return isinstance(sent, Answer) and sent.kind == "reset"


def _alone(finding: Finding) -> Finding:
    """What cannot be split any more fails."""
    if finding.verdict is not Verdict.SPLIT:
        return finding
    return Finding(Verdict.FAIL, finding.reason, error=finding.error)
