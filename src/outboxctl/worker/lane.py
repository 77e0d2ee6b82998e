"""A lane: one thread that claims, delivers and settles, batch by batch."""

from random import Random

import structlog

from outboxctl.domain.errors import OutboxctlError, UnreachableError
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import OutagePolicy, Settings
from outboxctl.worker.circuit import Circuit
from outboxctl.worker.claimer import Claimer
from outboxctl.worker.database_reporter import DatabaseReporter
from outboxctl.worker.delivering import Deliverer
from outboxctl.worker.in_flight import InFlight
from outboxctl.worker.lease import Batch
from outboxctl.worker.outcome import Outcomes, RetryPolicy, decide
from outboxctl.worker.prepare import judge, prepare
from outboxctl.worker.settling import SettleTools, Settling
from outboxctl.worker.signals import Signals
from outboxctl.worker.tracing import Tracing

log = structlog.get_logger()


class Lane:
    """One lane; `run` returns when the worker stops or, with `drain`, when nothing is due.

    `error` is what ended a drain. Everything that a lane is given is shared by all lanes of a worker.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        claimer: Claimer,
        deliverer: Deliverer,
        settle_tools: SettleTools,
        circuit: Circuit,
        in_flight: InFlight,
        tracing: Tracing,
        drain: bool,
        rng: Random | None = None,
    ) -> None:
        s = settings
        hold = s.outage_policy is OutagePolicy.HOLD
        self._policy = RetryPolicy(s.max_attempts, s.base_backoff_seconds, s.max_backoff_seconds, hold)
        self._pause = min(1.0, s.poll_interval_seconds)  # seconds after an error
        self._claimer, self._deliverer, self._settle_tools = claimer, deliverer, settle_tools
        self._circuit, self._in_flight, self._tracing = circuit, in_flight, tracing
        self._drain, self._rng = drain, rng or Random()  # noqa: S311 - jitter, not a secret
        self.error: Exception | None = None

    def run(self) -> None:
        """Work until the stop; an error costs a batch, never the lane, except in a drain, which it ends."""
        while not self._signals.stopping:
            try:
                if not self._turn():
                    return
            except Exception as error:
                if self._drain:
                    self.error = error
                    return
                self._report(error)
                self._signals.wait_for_stop(self._pause)
            finally:
                self._circuit.breaker.end_probe()  # however the turn ended

    @property
    def _signals(self) -> Signals:
        return self._settle_tools.signals

    @property
    def _metrics(self) -> Metrics:
        return self._settle_tools.metrics

    @property
    def _reporter(self) -> DatabaseReporter:
        return self._settle_tools.reporter

    def _report(self, error: Exception) -> None:
        # After any error but that of an unreachable database the claim is left to its lease: giving the
        # attempt back would send an event that always fails here for ever.
        if isinstance(error, OutboxctlError):
            self._reporter.failed(error)
        else:
            log.error("unexpected error in a lane", error=f"{type(error).__name__}: {error}")

    def _turn(self) -> bool:
        """One batch; False when there was none and there will be none."""
        batch = self._claimer.claim(drain=self._drain)
        if batch:
            self._carry_out(batch)
        return batch is not None

    def _carry_out(self, batch: Batch) -> None:
        token = batch.lease.token
        self._metrics.add("inflight", batch.lease.size)
        try:
            with self._tracing.batch(batch):
                self._process(batch)
        except UnreachableError:
            self._in_flight.answer_lost(token)
            raise
        finally:
            self._in_flight.remove(token)
            self._metrics.add("inflight", -batch.lease.size)

    def _process(self, batch: Batch) -> None:
        prepared = prepare(batch.events, batch.left_out)
        delivery = self._deliverer.deliver(prepared, batch.lease)
        outcomes = decide(judge(prepared, delivery.findings), self._policy, self._rng)
        self._settle(batch, outcomes)
        self._circuit.observe(delivery, outcomes)

    def _settle(self, batch: Batch, outcomes: Outcomes) -> None:
        # A drain has to end; a daemon has nothing better to do than to wait for the database.
        until = batch.lease.ends if self._drain else None
        with self._tracing.settling():
            written = Settling(self._settle_tools, batch.lease.token, outcomes).run(until=until)
        self._tracing.settled(outcomes, written)
