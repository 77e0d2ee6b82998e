"""How many events may be claimed now."""

from dataclasses import dataclass

from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.batch_sizer import BatchSizer
from outboxctl.worker.circuit import Breaker
from outboxctl.worker.in_flight import InFlight
from outboxctl.worker.prepare import Prepared
from outboxctl.worker.throttle import Throttle


class StartGate:
    """Closed from the moment the sink answers that the index does not exist until it has existed once.

    An index that is missing at the start was never created, or its name is misspelt: no event may lose
    attempts by it. A sink that does not answer opens the gate, and an index that is deleted later leaves
    it open: both are outages. The probe of the sink calls `observe`; any thread may read `problem`.

    It is the index of search_index: while other projections are in force, their events are claimed and
    delivered, and those of search_index are put back.
    """

    def __init__(self) -> None:
        self._existed = False
        self.problem = ""  # why search_index cannot be delivered; empty: it can
        self.serves_others = False  # projections are in force; set by maintenance

    @property
    def closed(self) -> bool:
        """Whether nothing may be claimed."""
        return bool(self.problem) and not self.serves_others

    @property
    def finding(self) -> Classification | None:
        """What becomes of a claimed event of search_index, while those of others are delivered."""
        problem = self.problem
        if not problem or not self.serves_others:
            return None
        return Classification(
            Verdict.OUTAGE,
            Reason.INDEX_UNAVAILABLE,
            error=brief(f"{Reason.INDEX_UNAVAILABLE}: {problem}"),
            single=True,
            attempt_returned=True,
        )

    def observe(self, finding: Classification | None) -> None:
        """Take the result of a probe: None if the index exists."""
        self._existed = self._existed or finding is None
        missing = finding is not None and finding.reason is Reason.INDEX_UNAVAILABLE
        self.problem = finding.error if finding and missing and not self._existed else ""


@dataclass(frozen=True)
class Admission:
    """The limits on claims: start gate, batch size, events in flight, and the circuit to the sink.

    `admit` is called by the lane that holds the claim lock, `learn` by each lane after its delivery; the
    parts are thread-safe by themselves.
    """

    start_gate: StartGate
    batch_sizer: BatchSizer
    throttle: Throttle
    breaker: Breaker
    in_flight: InFlight
    lanes: int

    def admit(self) -> int:
        """Events that may be claimed now; with an open circuit the caller becomes its probe. 0: none."""
        if self.start_gate.closed:
            return 0
        size = self.batch_sizer.size
        self.throttle.resize(size * self.lanes)
        size = self.throttle.admit(size, self.in_flight.events())
        return self.breaker.admit(size) if size else 0

    def learn(self, prepared: Prepared, delivery: Delivery, *, sent_at: float, longest_pause: float) -> None:
        """Adapt the limits to a delivery begun at `sent_at` (monotonic); pauses are in seconds."""
        self.throttle.learn(delivery.findings, sent_at=sent_at, longest_pause=longest_pause)
        if delivery.requests and delivery.whole:
            size = delivery.requests[0].size
            self.batch_sizer.learn(len(prepared.actions), size, left_out=prepared.left_out)
