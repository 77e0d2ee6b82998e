"""The circuit to the sink under either outage policy: when it opens and closes, and what follows."""

from outboxctl.domain.failures import NO_ANSWER, Classification, Verdict
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import OutagePolicy, Settings
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.breaker import Breaker
from outboxctl.worker.health import Health, Problem
from outboxctl.worker.outcome import Outcomes
from outboxctl.worker.throttle import Throttle


class Circuit:
    """Shared by the lanes of a worker, which report each delivery; any thread may call it.

    Under `hold` the circuit is open while the sink cannot take events: nothing is claimed but one event
    at a time, as a probe. Under `count` it only paces deliveries to a sink that does not answer at all.
    """

    def __init__(self, settings: Settings, throttle: Throttle, health: Health, metrics: Metrics) -> None:
        self._holds = settings.outage_policy is OutagePolicy.HOLD
        self._first_batch = settings.bulk_size
        self._throttle, self._health, self._metrics = throttle, health, metrics
        self.breaker = Breaker(
            base=settings.base_backoff_seconds,
            cap=settings.max_backoff_seconds,
            whole_batches=not self._holds,
        )

    @property
    def holds_events(self) -> bool:
        """Whether an outage holds events back. Under `count` none is held: each has its own retry."""
        return self._holds and self.breaker.is_open

    def observe(self, delivery: Delivery, outcomes: Outcomes) -> None:
        """Open or close the circuit after a delivery whose outcomes are written."""
        if self._holds:
            self._observe_holding(delivery, outcomes)
        else:
            self.pace(delivery)

    def nothing_due(self) -> None:
        """A probe has met no event: under `hold` there is nothing that the sink could refuse."""
        if self._holds and self.breaker.probing:
            self._close()

    def pace(self, delivery: Delivery) -> None:
        """Under `count`: while the sink does not answer at all, one lane at a time tries it, with pauses.

        Readiness is left to the probe of maintenance: nothing may be due for hours whose delivery could
        show here that the sink answers again.
        """
        findings = [finding for finding in delivery.findings if finding]
        if any(finding.reason not in NO_ANSWER for finding in findings):
            self._answered()
        elif findings:
            self.breaker.unanswered(certain=any(f.verdict is Verdict.OUTAGE for f in findings))

    def show_limits(self) -> None:
        """Set the gauges of circuit and throttle."""
        self._metrics.set("circuit_open", self.holds_events)
        self._metrics.set("inflight_limit", self._throttle.limit)

    def _observe_holding(self, delivery: Delivery, outcomes: Outcomes) -> None:
        """Any answer of the sink closes the circuit, except those that are an outage."""
        findings = [finding for finding in delivery.findings if finding]
        if outcomes.held:
            self._open(outcomes.findings[outcomes.held[0]][1])
        elif any(finding.reason not in NO_ANSWER for finding in findings):
            self._close()
        elif findings and self.breaker.is_open:
            self._open(findings[0])  # a probe without an answer

    def _answered(self) -> None:
        if self.breaker.is_open:
            self._close()
        else:
            self.breaker.close()

    def _open(self, finding: Classification) -> None:
        self.breaker.failed()
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
