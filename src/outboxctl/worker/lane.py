"""A lane: one thread that claims, delivers and settles, batch by batch."""

from random import Random
from time import monotonic

import structlog

from outboxctl.errors import OutboxctlError, UnreachableError
from outboxctl.settings import OutagePolicy
from outboxctl.sink.deliver import Delivery
from outboxctl.worker import tally
from outboxctl.worker.intake import Batch, Intake
from outboxctl.worker.outcome import Outcomes, RetryPolicy, decide
from outboxctl.worker.prepare import Prepared, judge, prepare
from outboxctl.worker.settling import settle_all
from outboxctl.worker.shared import Shared

log = structlog.get_logger()
TICK = 0.005  # seconds between two looks at the other lanes


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
            self._shared.health.report("database", str(error), observer="lane")
        else:
            log.error("unexpected error in a lane", error=f"{type(error).__name__}: {error}")

    def _turn(self) -> bool:
        """One batch; False when there was none and there will be none."""
        with self._shared.turnstile:
            batch = self._intake.next()
            if batch and batch.alone:
                self._wait_for_the_others()
                self._carry_out(batch)
        if batch and not batch.alone:
            self._carry_out(batch)
        return batch is not None

    def _wait_for_the_others(self) -> None:
        while len(self._shared.held) > 1 and not self._shared.stopping.wait(TICK):
            pass

    def _carry_out(self, batch: Batch) -> None:
        token = batch.lease.token
        self._shared.metrics.add("inflight", batch.lease.size)
        try:
            self._process(batch)
        except UnreachableError:
            self._shared.lost.add(token)
            raise
        finally:
            self._shared.held.pop(token, None)
            self._shared.metrics.add("inflight", -batch.lease.size)

    def _process(self, batch: Batch) -> None:
        prepared = prepare(batch.events)
        delivery = self._deliver(prepared, batch)
        outcomes = decide(judge(prepared, delivery.findings), self._policy, self._rng)
        self._settle(batch, outcomes)
        if self._policy.hold:
            self._hold(outcomes, heard=any(delivery.findings))

    def _deliver(self, prepared: Prepared, batch: Batch) -> Delivery:
        if not prepared.actions:
            return Delivery([], [])
        stopping, sent_at = self._shared.stopping, monotonic()
        delivery = self._shared.sink.deliver(
            prepared.actions, left=lambda: 0.0 if stopping.is_set() else batch.lease.left()
        )
        tally.deliveries(self._shared.metrics, prepared.actions, delivery)
        throttle = self._shared.throttle
        throttle.learn(delivery.findings, sent_at=sent_at, longest_pause=self._policy.cap)
        self._shared.metrics.set("inflight_limit", throttle.limit)
        return delivery

    def _settle(self, batch: Batch, outcomes: Outcomes) -> None:
        settle_all(self._shared, batch.lease.token, outcomes)

    def _hold(self, outcomes: Outcomes, *, heard: bool) -> None:
        """Open the circuit on an outage; close it when the sink answered, whatever it said of an event."""
        if outcomes.held:
            self._shared.breaker.failed()
            error = outcomes.findings[outcomes.held[0]][1].error
            self._shared.health.report("sink", f"circuit open: {error}", observer="lane")
        elif heard:
            if self._shared.breaker.is_open:
                self._shared.throttle.start_small(self._settings.bulk_size)
            self._shared.breaker.succeeded()
            self._shared.health.report("sink", None, observer="lane")
        self._shared.metrics.set("circuit_open", self._shared.breaker.is_open)
