"""A lane: one thread that claims, delivers and settles, batch by batch."""

from random import Random
from threading import current_thread

from outboxctl.core.delivery import settle
from outboxctl.domain.errors import OutboxctlError, UnreachableError
from outboxctl.worker.claiming.claimer import Claimer
from outboxctl.worker.claiming.leases import Batch
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.lane.delivering import Answered, Delivering
from outboxctl.worker.lane.pages import FULL, Unfolded, unfold
from outboxctl.worker.projections.reading import Judged
from outboxctl.worker.settling.outcome import Outcomes, decide, policy_of
from outboxctl.worker.settling.settling import Settling


class Lane:
    """One lane; `run` returns when the worker stops or, with `drain`, when nothing is due.

    `error` is what ended a drain. Its parts are those of all lanes of a worker.
    """

    def __init__(
        self,
        context: WorkerContext,
        claimer: Claimer,
        delivering: Delivering,
        flow: FlowControl,
        *,
        drain: bool,
    ) -> None:
        self._pause = min(1.0, context.settings.poll_interval_seconds)  # seconds after an error
        self._context, self._claimer, self._delivering, self._flow = context, claimer, delivering, flow
        self._drain = drain
        self._rng = Random()  # noqa: S311 - jitter, not a secret
        self.error: Exception | None = None

    def run(self) -> None:
        """Work until the stop; an error costs a batch, never the lane, except in a drain, which it ends."""
        while not self._context.signals.stopping:
            try:
                if not self._turn():
                    return
            except Exception as error:
                if self._drain:
                    self.error = error
                    return
                self._report(error)
                self._context.signals.wait_for_stop(self._pause)
            finally:
                self._flow.end_probe()  # however the turn ended

    def _report(self, error: Exception) -> None:
        # After any error but that of an unreachable database the claim is left to its lease: giving the
        # attempt back would send an event that always fails here for ever.
        if isinstance(error, OutboxctlError):
            self._context.reporter.failed(error)
        else:
            self._context.metrics.unexpected(current_thread().name, error)

    def _turn(self) -> bool:
        """One batch; False when there was none and there will be none."""
        batch = self._claimer.claim(drain=self._drain)
        if batch:
            self._carry_out(batch)
        return batch is not None

    def _carry_out(self, batch: Batch) -> None:
        context, token, size = self._context, batch.lease.token, batch.lease.size
        context.metrics.add("inflight", size)
        try:
            with context.traced(batch):
                self._process(batch)
        except UnreachableError:
            context.in_flight.answer_lost(token)
            raise
        finally:
            context.in_flight.remove(token)
            context.metrics.add("inflight", -size)

    def _process(self, batch: Batch) -> None:
        flow, name = self._flow, batch.name
        unfolded = self._unfolded(batch)
        judged, answered = Judged(), Answered()
        for documents in unfolded.requests:
            more, also = self._delivering.deliver(batch, documents)
            judged += more
            answered.add(also)
        in_a_row = flow.judged(name, [finding for _, finding in judged])
        judged, splits = unfolded.folded(judged)
        outcomes = decide(judged, policy_of(self._context.settings, name, in_a_row), self._rng)
        outcomes.deletes.update(answered.deletes)
        outcomes.places.update(answered.places)
        outcomes.splits += splits
        self._settle(self._context.of(name), batch, outcomes)
        flow.ended(name, batch.lease.size, batch.lease.requested_at)

    def _unfolded(self, batch: Batch) -> Unfolded:
        """What is delivered of a batch. Pages behind the first one are for other lanes."""
        together = self._flow.together(batch.name, spare=FULL)
        found = unfold(batch.events, together, exclusive=batch.exclusive)
        batch.lease.size = sum(map(len, found.requests))
        if found.later:
            with self._context.database.begin() as connection:
                settle.release(connection, [batch.lease.token], only=found.later)
            self._context.signals.wake()
        return found

    def _settle(self, context: WorkerContext, batch: Batch, outcomes: Outcomes) -> None:
        # A drain has to end; a daemon has nothing better to do than to wait for the database.
        until = batch.lease.ends if self._drain else None
        written = Settling(context, batch.lease.token, outcomes).run(until=until)
        if context.tracing:
            context.tracing.settled(outcomes, written)
