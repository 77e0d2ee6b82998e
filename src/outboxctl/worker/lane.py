"""A lane: one thread that claims, delivers and settles, batch by batch."""

from random import Random

import structlog

from outboxctl.core.delivery.renew import renew
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, UnreachableError
from outboxctl.domain.failures import NO_ANSWER, Classification, Verdict
from outboxctl.settings import OutagePolicy
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker import tally
from outboxctl.worker.health import Problem
from outboxctl.worker.intake import Batch, Intake
from outboxctl.worker.lease import Lease
from outboxctl.worker.outcome import Outcomes, RetryPolicy, decide
from outboxctl.worker.prepare import Prepared, judge, prepare
from outboxctl.worker.settling import Settling
from outboxctl.worker.shared import Shared

log = structlog.get_logger()


class Lane:
    """One lane; `run` returns when the worker stops or, with `drain`, when nothing is due."""

    def __init__(self, shared: Shared, *, drain: bool, rng: Random | None = None) -> None:
        self._shared, self._settings, self._drain = shared, shared.settings, drain
        s = shared.settings
        hold = s.outage_policy is OutagePolicy.HOLD
        self._intake = Intake(shared, drain=drain)
        self._policy = RetryPolicy(s.max_attempts, s.base_backoff_seconds, s.max_backoff_seconds, hold)
        self._rng = rng or Random()  # noqa: S311 - jitter, not a secret

    def run(self) -> None:
        """Turn until told to stop; an error costs a turn, never the lane.

        With `drain` there is an end to report to: the error is kept in `shared.error`.
        """
        while not self._shared.stopping.is_set():
            try:
                if not self._turn():
                    return
            except Exception as error:
                if self._drain:
                    self._shared.error = error
                    return
                self._complain(error)
                self._shared.stopping.wait(min(1.0, self._settings.poll_interval_seconds))
            finally:
                self._shared.breaker.no_news()  # however the turn ended, its probe is over

    def _complain(self, error: Exception) -> None:
        # Any other error than that of a database that is away leaves its claim to the lease: giving the
        # attempt back would send an event that always fails here for ever.
        if isinstance(error, OutboxctlError):
            self._shared.health.report("database", self._shared.locks.explain(error), observer="lane")
        else:
            log.error("unexpected error in a lane", error=f"{type(error).__name__}: {error}")

    def _turn(self) -> bool:
        """One batch; False when there was none and there will be none."""
        with self._shared.turnstile:
            found = self._intake.next()
            if isinstance(found, Batch) and found.alone:
                self._carry_out(found)  # behind the turnstile: nothing else is begun meanwhile
                return True
        batch = self._intake.redeem(found) if isinstance(found, Lease) else found
        if batch:
            self._carry_out(batch)
        return found is not None

    def _carry_out(self, batch: Batch) -> None:
        token = batch.lease.token
        self._shared.metrics.add("inflight", batch.lease.size)
        try:
            with self._shared.tracing.batch(batch):
                self._process(batch)
        except UnreachableError:
            self._shared.lose(token)
            raise
        finally:
            self._shared.claims.pop(token, None)
            self._shared.metrics.add("inflight", -batch.lease.size)

    def _process(self, batch: Batch) -> None:
        prepared = prepare(batch.events, batch.left_out)
        delivery = self._deliver(prepared, batch)
        outcomes = decide(judge(prepared, delivery.findings), self._policy, self._rng)
        self._settle(batch, outcomes)
        if self._policy.hold:
            self._hold(outcomes, delivery)
        else:
            self._pace(delivery)

    def _deliver(self, prepared: Prepared, batch: Batch) -> Delivery:
        if not prepared.actions:
            return Delivery([], [])
        sent_at = monotonic()
        with self._shared.tracing.sending(len(prepared.actions)):
            delivery = self._shared.sink.deliver(prepared.actions, left=lambda: self._left(batch.lease))
        tally.deliveries(self._shared.metrics, prepared.actions, delivery)
        throttle = self._shared.throttle
        throttle.learn(delivery.findings, sent_at=sent_at, longest_pause=self._policy.cap)
        if delivery.requests:  # the first one held the whole batch
            size = delivery.requests[0].size
            self._shared.portion.learn(len(prepared.actions), size, left_out=prepared.left_out)
        self._shared.show_limits()
        return delivery

    def _left(self, lease: Lease) -> float:
        """Seconds for a request that starts now. What takes many, halves of a refused batch, is renewed.

        A batch that is in hand when the worker is told to stop is finished, within the grace.
        """
        if self._shared.given_up.is_set():
            return 0.0
        if lease.due():
            self._renew(lease)
        return lease.left()

    def _renew(self, lease: Lease) -> None:
        s, asked_at = self._settings, monotonic()
        try:
            with self._shared.database.begin() as connection:
                kept = renew(
                    connection, lease.token, lease=s.lease_seconds, max_processing=s.max_processing_seconds
                )
        except OutboxctlError as error:
            self._shared.health.report("database", self._shared.locks.explain(error), observer="lane")
            return
        if kept:
            lease.renewed(asked_at)
        else:
            lease.over()

    def _settle(self, batch: Batch, outcomes: Outcomes) -> None:
        # A drain has an end to come to; a daemon has nothing better to do than to wait.
        until = batch.lease.ends if self._drain else None
        with self._shared.tracing.settling():
            written = Settling(self._shared, batch.lease.token, outcomes).run(until=until)
        self._shared.tracing.settled(outcomes, written)

    def _hold(self, outcomes: Outcomes, delivery: Delivery) -> None:
        """Open the circuit on an outage; close it when the sink answered, whatever it said of an event."""
        said = [f for f in delivery.findings if f]
        if outcomes.held:
            self._open_circuit(outcomes.findings[outcomes.held[0]][1])
        elif any(f.reason not in NO_ANSWER for f in said):
            self._shared.close_circuit()
        elif said and self._shared.breaker.is_open:
            self._open_circuit(said[0])  # a probe without an answer

    def _pace(self, delivery: Delivery) -> None:
        """Under `count`: while the sink does not answer at all, one lane at a time tries it, with pauses.

        Readiness is left to the probe of maintenance: nothing may be due for hours that could show here
        that the sink is back.
        """
        said = [finding for finding in delivery.findings if finding]
        if any(finding.reason not in NO_ANSWER for finding in said):
            self._shared.answered()
        elif said:
            self._shared.breaker.unanswered(certain=any(f.verdict is Verdict.OUTAGE for f in said))

    def _open_circuit(self, finding: Classification) -> None:
        self._shared.breaker.failed()
        problem = Problem(f"circuit open: {finding.error}", f"circuit open: {finding.public}")
        self._shared.health.report("sink", problem, observer="lane")
        self._shared.show_limits()
