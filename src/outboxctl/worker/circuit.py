"""The circuit to the sink under either outage policy: when it opens and closes, and what follows."""

import threading
from random import Random

from outboxctl.domain import backoff
from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.settings import OutagePolicy
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.health import Problem
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.suspects import Suspects
from outboxctl.worker.throttle import Throttle

LONGEST_STEP = 5.0  # seconds between two probes at the most, so that recovery is soon noticed
PROBE_EVENTS = 10  # of a probe under `hold`: of several shards, so that one that is unavailable is not all


class Breaker:
    """Opens on an outage, lets one lane at a time probe with growing pauses, then closes.

    Under the policy `hold` a probe is a few events. Under `count` it is a whole batch, whose attempts count.
    Shared by the lanes of one worker, and thread-safe.
    """

    def __init__(
        self, *, base: float, cap: float, rng: Random | None = None, whole_batches: bool = False
    ) -> None:
        self._base, self._cap = base, min(cap, LONGEST_STEP)
        self._rng = rng or Random()  # noqa: S311 - jitter, not a secret
        self._whole_batches = whole_batches
        self._lock = threading.Lock()
        self._failures = 0
        self._unanswered = 0  # deliveries in a row
        self._next_probe = 0.0
        self._prober: int | None = None  # the thread that probes

    @property
    def is_open(self) -> bool:
        """Whether the last deliveries were an outage."""
        return self._failures > 0

    @property
    def probing(self) -> bool:
        """Whether this thread is the probe."""
        return self._prober == threading.get_ident()

    def admit(self, size: int) -> int:
        """How many events may be claimed now: `size`, those of a probe, which this thread becomes, or 0."""
        with self._lock:
            if not self._failures:
                return size
            if self._prober is not None or monotonic() < self._next_probe:
                return 0
            self._prober = threading.get_ident()
            return size if self._whole_batches else min(size, PROBE_EVENTS)

    def end_probe(self) -> None:
        """End the probe of this thread, if it has one, without an answer of the sink."""
        with self._lock:
            if self.probing:
                self._prober = None

    def failed(self) -> None:
        """An outage: open, or stay open for longer."""
        with self._lock:
            self._failures += 1
            if self.probing:  # another lane's probe may be in progress
                self._prober = None
            wait = backoff.delay(self._failures, base=self._base, cap=self._cap, rng=self._rng)
            self._next_probe = monotonic() + wait

    def unanswered(self, *, certain: bool, beside: int = 1) -> bool:
        """A delivery got no answer: an outage if that is `certain`, or if those before got none either.

        `beside`: how many may go unanswered at once, because of one node. Returns whether it is an outage.
        """
        with self._lock:
            self._unanswered += 1
            certain = certain or self._unanswered > beside
        if certain:
            self.failed()
        return certain

    def close(self) -> None:
        """The sink answered, or there is nothing to send."""
        with self._lock:
            self._failures, self._prober = 0, None
            self._unanswered = 0


class Circuit:
    """Shared by the lanes of a worker, which report each delivery; any thread may call it.

    `holds`: the policy is `hold`; `suspects` are the events that may be at fault, under it.

    Under `hold` the circuit is open while the sink cannot take events: nothing is claimed but a few of them
    at a time, as a probe. Under `count` it only paces deliveries to a sink that takes nothing at all.
    """

    def __init__(self, context: WorkerContext, throttle: Throttle) -> None:
        settings = context.settings
        self.holds = settings.outage_policy is OutagePolicy.HOLD
        self.suspects = Suspects()
        self._first_batch, self._lanes = settings.bulk_size, settings.concurrency
        self._throttle, self._health, self._metrics = throttle, context.health, context.metrics
        self.breaker = Breaker(
            base=settings.base_backoff_seconds,
            cap=settings.max_backoff_seconds,
            whole_batches=not self.holds,
        )

    @property
    def holds_events(self) -> bool:
        """Whether an outage holds events back. Under `count` none is held: each has its own retry."""
        return self.holds and self.breaker.is_open

    def observe(self, delivery: Delivery, outcomes: Outcomes) -> None:
        """Open or close the circuit after a delivery whose outcomes are written."""
        if self.holds:
            self._observe_holding(delivery, outcomes)
        else:
            self.pace(delivery)

    def nothing_due(self) -> None:
        """A probe has met no event: under `hold` there is nothing that the sink could refuse."""
        if self.holds and self.breaker.probing:
            self._close()

    def pace(self, delivery: Delivery) -> None:
        """Under `count`: while the sink takes nothing at all, one lane at a time tries it, with pauses.

        Readiness is left to the probe of maintenance: nothing may be due for hours whose delivery could
        show here that the sink answers again.
        """
        findings = [finding for finding in delivery.findings if finding and not finding.attempt_returned]
        if not all(map(_of_no_event, findings)):
            self._answered()
        elif of_all := [finding for finding in findings if not finding.single]:
            self.breaker.unanswered(certain=any(f.verdict is Verdict.OUTAGE for f in of_all))

    def show_limits(self) -> None:
        """Set the gauges of circuit and throttle."""
        self._metrics.set("circuit_open", self.holds_events)
        self._metrics.set("inflight_limit", self._throttle.limit)

    def _observe_holding(self, delivery: Delivery, outcomes: Outcomes) -> None:
        """Any answer of the sink closes the circuit, except those that are an outage.

        That one shard takes nothing is an answer, too: it says nothing about the others.
        """
        findings = [finding for finding in delivery.findings if finding and not finding.attempt_returned]
        if outcomes.held:
            self.breaker.failed()
            self._report(outcomes.findings[outcomes.held[0]][1])
        elif not all(finding.unanswered for finding in findings):
            self._close()
        elif findings and self.breaker.unanswered(certain=self.breaker.is_open, beside=self._lanes):
            self._report(findings[0])

    def _answered(self) -> None:
        if self.breaker.is_open:
            self._close()
        else:
            self.breaker.close()

    def _report(self, finding: Classification) -> None:
        problem = Problem(f"circuit open: {finding.error}", f"circuit open: {finding.public}")
        self._health.report("sink", problem, observer="lane")
        self.show_limits()

    def _close(self) -> None:
        """After an outage many workers must not send full batches at once: begin with a small number."""
        if self.breaker.is_open:
            self._throttle.start_small(self._first_batch)
        self.breaker.close()
        self._health.report("sink", None, observer="lane")
        self.show_limits()


def _of_no_event(finding: Classification) -> bool:
    """Whether the sink said nothing of an event, or that it takes none, of whatever index.

    What it says of one index or shard (`single`) is an answer, but for a 503: the whole sink may be away.
    """
    if finding.verdict is not Verdict.OUTAGE:
        return finding.unanswered
    return not finding.single or (finding.reason is Reason.UNAVAILABLE and not finding.of_shard)
