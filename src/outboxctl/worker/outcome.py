"""From findings to what is written: pure; the only place where attempts end."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from outboxctl import backoff
from outboxctl.core.claim import Claimed
from outboxctl.core.settle import Failure, Retry
from outboxctl.failures import DONE, Finding, Reason, Verdict
from outboxctl.worker.prepare import UNSENT


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how soon: seconds for `base` and `cap`; `hold` gives the attempt back in an outage."""

    max_attempts: int
    base: float
    cap: float
    hold: bool = False


@dataclass
class Outcomes:
    """What to write for one claim, one list an outcome.

    For the metrics: the events that are `plainly` done, and by event id the `findings` of all others.
    """

    plainly: list[Claimed] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)
    findings: dict[str, tuple[Claimed, Finding]] = field(default_factory=dict)

    @property
    def untried(self) -> list[str]:
        """The events that go back with their attempts."""
        return self.held + self.unsent


def decide(judged: Iterable[tuple[Claimed, Finding]], policy: RetryPolicy, rng: Random) -> Outcomes:
    """Sort events by outcome; a retry becomes a failure once the attempts are spent."""
    judged = list(judged)
    plainly = [event for event, finding in judged if finding is DONE]
    outcomes = Outcomes(plainly, [event.id for event in plainly])
    for event, finding in [pair for pair in judged if pair[1] is not DONE]:
        outcomes.findings[event.id] = (event, finding)
        reason = finding.reason or Reason.UNKNOWN_EXCEPTION
        if finding is UNSENT:
            outcomes.unsent.append(event.id)
        elif finding.verdict is Verdict.DONE:
            outcomes.done.append(event.id)
        elif finding.verdict is Verdict.OUTAGE and policy.hold:
            outcomes.held.append(event.id)
        elif finding.verdict is Verdict.FAIL or event.attempts >= policy.max_attempts:
            outcomes.failures.append(Failure(event.id, reason, finding.error))
        else:
            wait = backoff.delay(event.attempts, base=policy.base, cap=policy.cap, rng=rng)
            asked = min(finding.retry_after, policy.cap)
            outcomes.retries.append(Retry(event.id, max(wait, asked), reason, finding.error))
    return outcomes
