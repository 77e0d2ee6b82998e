"""From findings to what is written: pure, no I/O; the only place that ends attempts."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.deletes import DeliveredDelete
from outboxctl.core.delivery.places import PlaceWrite
from outboxctl.core.delivery.settle import Undelivered
from outboxctl.domain import backoff
from outboxctl.domain.failures import DONE, Classification, OutageScope, Reason, Verdict
from outboxctl.settings import OutagePolicy, Settings
from outboxctl.worker.lane.prepare import UNSENT

ID_LENGTH = 36  # of an event's id
# Of a page of which no document was delivered: it is done, and no progress.
UNFOLDED = Classification(Verdict.DONE, unsent=True)
LAST_STEP = 64  # an attempt at which the backoff has reached its cap
REFUNDED_STEP = 3  # that of an event whose attempts do not grow
# That of events which probed a closed index: others probe it meanwhile, and once it is open they come soon.
LONGEST_STEP = 5
PASSING_STEP = 1  # that of an event whose outage ends within seconds


@dataclass(frozen=True)
class RetryPolicy:
    """Attempts, and the backoff's `base` and `cap` in seconds; `hold` gives the attempt back in an outage.

    With `waits` each event then waits by itself, where the circuit does not: it counts. `step`: that of an
    event which alone is refused; of several outages of an index in a row the events of each wait longer.
    """

    max_attempts: int
    base: float
    cap: float
    hold: bool = False
    waits: bool = False
    step: int = LAST_STEP


def policy_of(settings: Settings, projection: str, in_a_row: int = 0) -> RetryPolicy:
    """The policy that the settings describe for events of a projection; search_index has an empty name.

    `in_a_row`: how many batches were outages of its index.
    """
    s, hold = settings, settings.holds(projection)
    waits = hold and s.outage_policy is not OutagePolicy.HOLD
    step = min(REFUNDED_STEP + in_a_row - 1, LONGEST_STEP) if in_a_row else LAST_STEP
    return RetryPolicy(s.max_attempts, s.base_backoff_seconds, s.max_backoff_seconds, hold, waits, step)


class Split(NamedTuple):
    """Documents of the event `id`, by their `keys`, that have an event each once it is done.

    `tried`: those that were not delivered, and why.
    """

    id: str
    keys: Sequence[str]
    tried: Sequence[tuple[Claimed, Classification]]


@dataclass
class Outcomes:
    """What to write for one claim, one list an outcome.

    For the metrics: the events that the sink `confirmed`, and by event id the `findings` of all others.
    `deletes` are the delivered ones, and `places` those to settle, by event id; of a document of a page, or
    a part of an event, it begins with that.
    """

    confirmed: list[Claimed] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    retries: list[Undelivered] = field(default_factory=list)
    failures: list[Undelivered] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)
    findings: dict[str, tuple[Claimed, Classification]] = field(default_factory=dict)
    deletes: dict[str, DeliveredDelete] = field(default_factory=dict)
    splits: list[Split] = field(default_factory=list)
    places: dict[str, PlaceWrite] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        """The ids of all events with an outcome."""
        return {event.id for event in self.confirmed} | self.findings.keys()

    @property
    def untried(self) -> list[str]:
        """The events that go back with their attempts."""
        return self.held + self.unsent

    def only(self, ids: Container[str]) -> "Outcomes":
        """The outcomes of these events."""
        return Outcomes(
            [event for event in self.confirmed if event.id in ids],
            [id_ for id_ in self.done if id_ in ids],
            [retry for retry in self.retries if retry.id in ids],
            [failure for failure in self.failures if failure.id in ids],
            [id_ for id_ in self.held if id_ in ids],
            [id_ for id_ in self.unsent if id_ in ids],
            {id_: pair for id_, pair in self.findings.items() if id_ in ids},
            {id_: delete for id_, delete in self.deletes.items() if id_[:ID_LENGTH] in ids},
            [split for split in self.splits if split.id in ids],
            {id_: some for id_, some in self.places.items() if id_[:ID_LENGTH] in ids},
        )


def decide(judged: Iterable[tuple[Claimed, Classification]], policy: RetryPolicy, rng: Random) -> Outcomes:
    """Sort events by outcome; a retry becomes a failure once the attempts are spent."""
    judged = list(judged)
    confirmed = [event for event, finding in judged if finding is DONE]
    outcomes = Outcomes(confirmed, [event.id for event in confirmed])
    for event, finding in [pair for pair in judged if pair[1] is not DONE]:
        outcomes.findings[event.id] = (event, finding)
        reason, refunded = finding.reason or Reason.UNKNOWN_EXCEPTION, _refunded(finding, policy)
        if finding is UNSENT:
            outcomes.unsent.append(event.id)
        elif finding.verdict is Verdict.DONE:
            outcomes.done.append(event.id)
        elif refunded == 0:
            outcomes.held.append(event.id)
        elif not refunded and (finding.verdict is Verdict.FAIL or event.attempts >= policy.max_attempts):
            outcomes.failures.append(Undelivered(event.id, reason, finding.error))
        else:
            wait = backoff.delay(refunded or event.attempts, base=policy.base, cap=policy.cap, rng=rng)
            wait = max(wait, min(finding.retry_after, policy.cap))
            outcomes.retries.append(Undelivered(event.id, reason, finding.error, wait, bool(refunded)))
    return outcomes


def _refunded(finding: Classification, policy: RetryPolicy) -> int | None:
    """The step of the backoff for which an event waits that gets its attempt back; 0: for the circuit.

    None where the attempt counts. After an outage of an index or event each event waits by itself: else it
    would be each next probe.
    """
    if finding.verdict is not Verdict.OUTAGE or not (policy.hold or finding.attempt_returned):
        return REFUNDED_STEP if policy.hold and finding.refundable else None
    if finding.scope is not OutageScope.SINK:
        return PASSING_STEP if finding.passing else policy.step
    return REFUNDED_STEP if policy.waits else 0
