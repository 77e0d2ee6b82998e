"""A lane: one thread that claims, delivers and settles, batch by batch."""

from collections.abc import Mapping, Sequence
from random import Random
from threading import current_thread

from outboxctl.core.delivery.claim import Claimed
from outboxctl.core.delivery.deletes import DeliveredDelete
from outboxctl.domain.errors import OutboxctlError, UnreachableError
from outboxctl.metrics import unexpected
from outboxctl.sink.delivery.result import Delivery
from outboxctl.worker.admission import StartGate
from outboxctl.worker.circuit import Circuit
from outboxctl.worker.claimer import Claimer
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.delivering import Deliverer
from outboxctl.worker.lease import Batch
from outboxctl.worker.outcome import Outcomes, decide, policy_of
from outboxctl.worker.pacing import outage_of_all
from outboxctl.worker.prepare import deleted, judge, prepare
from outboxctl.worker.projecting import Projecting, by_projection, holding_no_other, settled
from outboxctl.worker.reading import Judged
from outboxctl.worker.settling import Settling

WAITING = "events of search_index wait for their index"


class Lane:
    """One lane; `run` returns when the worker stops or, with `drain`, when nothing is due.

    `error` is what ended a drain. Its parts are those of all lanes of a worker.
    """

    def __init__(
        self,
        context: WorkerContext,
        claimer: Claimer,
        deliverer: Deliverer,
        projecting: Projecting,
        circuit: Circuit,
        *,
        start_gate: StartGate,
        drain: bool,
    ) -> None:
        s = context.settings
        self._pause = min(1.0, s.poll_interval_seconds)  # seconds after an error
        self._context, self._claimer, self._deliverer, self._circuit = context, claimer, deliverer, circuit
        self._projecting, self._pacing, self._start_gate = projecting, projecting.pacing, start_gate
        self._signals, self._metrics, self._tracing = context.signals, context.metrics, context.tracing
        self._in_flight, self._drain = context.in_flight, drain
        self._rng = Random()  # noqa: S311 - jitter, not a secret
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

    def _report(self, error: Exception) -> None:
        # After any error but that of an unreachable database the claim is left to its lease: giving the
        # attempt back would send an event that always fails here for ever.
        if isinstance(error, OutboxctlError):
            self._context.reporter.failed(error)
        else:
            unexpected.report(self._metrics, current_thread().name, error)

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
        """The events of search_index first, then those of each projection by itself."""
        declared = by_projection(batch.events)
        if own := declared.pop("", ()):
            self._process_own(own, batch)
        for name, events in declared.items():
            delivery, judged, deletes = self._projecting.deliver(name, events, batch.lease)
            self._finish(name, batch, delivery, judged, deletes)

    def _process_own(self, events: Sequence[Claimed], batch: Batch) -> None:
        """Deliver events of search_index; while its index is away put them back, untried and with a delay."""
        missing = self._start_gate.finding
        if untried := missing or self._projecting.blocked.finding(""):
            self._finish("", batch, Delivery([], []), [(event, untried) for event in events])
            if missing and self._drain:  # it ends with an error, after all that can be delivered
                self.error = UnreachableError(self._start_gate.problem, hint=WAITING)
            return
        prepared = prepare(events, batch.refusals)
        delivery = self._deliverer.deliver(prepared, batch.lease)
        if self._start_gate.serves_others:
            delivery = settled(delivery, holding_no_other)
        judged = judge(prepared, delivery.findings)
        self._projecting.blocked.learn("", judged)
        self._finish("", batch, delivery, judged, deleted(prepared, delivery.findings))

    def _finish(
        self,
        name: str,
        batch: Batch,
        delivery: Delivery,
        judged: Judged,
        deletes: Mapping[str, DeliveredDelete] = {},
    ) -> None:
        """Write what became of one projection's events; search_index has an empty name."""
        outcomes = decide(judged, policy_of(self._context.settings, name), self._rng)
        outcomes.deletes.update(deletes)
        paced = name or self._start_gate.serves_others
        if paced and outage_of_all(judged):
            self._pacing.spread(name, outcomes)
        elif outcomes.retries:
            self._pacing.spread_of_shards(name, outcomes)
        self._settle(self._context.of(name), batch, outcomes)
        self._circuit.observe(delivery, outcomes)
        if delivery.recovered:
            self._pacing.shard_recovered(name)
        if paced and outcomes.confirmed:
            self._pacing.delivered(name, len(outcomes.confirmed))
        else:
            self._pacing.go_on(name, len(outcomes.confirmed))

    def _settle(self, context: WorkerContext, batch: Batch, outcomes: Outcomes) -> None:
        # A drain has to end; a daemon has nothing better to do than to wait for the database.
        until = batch.lease.ends if self._drain else None
        with self._tracing.settling():
            written = Settling(context, batch.lease.token, outcomes).run(until=until)
        self._tracing.settled(outcomes, written)
