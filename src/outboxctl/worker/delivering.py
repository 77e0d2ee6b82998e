"""Delivering a batch to the sink, and renewing the leases of deliveries that take long."""

import structlog

from outboxctl.core.delivery.leases import Renewed, renew
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.sink.delivery.result import Delivery, Sink
from outboxctl.worker import tally
from outboxctl.worker.admission import Admission
from outboxctl.worker.alias_moves import waiting_for_move
from outboxctl.worker.circuit import Circuit
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.lease import Lease
from outboxctl.worker.prepare import Prepared
from outboxctl.worker.suspects import SuspectIsolation

log = structlog.get_logger()
RENEWALS = "renewal"  # the observer of the condition `database`


class Deliverer:
    """Sends what is prepared to the sink of one `index`, and reports what that shows of the sink.

    Several lanes call it at once.
    """

    def __init__(
        self, context: WorkerContext, sink: Sink, admission: Admission, circuit: Circuit, *, index: str
    ) -> None:
        self._metrics, self._tracing, self._database = context.metrics, context.tracing, context.database
        self._index = index
        self._sink = SuspectIsolation(sink, circuit.suspects, index) if circuit.holds else sink
        self._admission, self._circuit = admission, circuit
        self._standstill = context.health.standstill
        self._longest_pause = context.settings.max_backoff_seconds

    def deliver(self, prepared: Prepared, lease: Lease) -> Delivery:
        """Send the actions until the lease's deadline; one finding an action, nothing is raised."""
        if not prepared.actions:
            return Delivery([], [])
        sent_at = monotonic()
        lease.delivering = True
        try:
            with self._tracing.sending(len(prepared.actions)):
                delivery = self._sink.deliver(prepared.actions, deadline=lease.deadline)
        finally:
            lease.delivering = False
        tally.deliveries(self._metrics, prepared.actions, delivery)
        self._standstill.observe(delivery.findings, sent_at=sent_at)
        self._admission.learn(prepared, delivery, sent_at=sent_at, longest_pause=self._longest_pause)
        self._circuit.show_limits()
        return waiting_for_move(self._database, self._index, delivery)


class Renewal:
    """Renews leases while their batches are delivered; a thread of its own calls `turn`.

    A delivery in many requests, halves of a refused batch, may take longer than a lease. The thread goes
    on after a stop, for as long as batches in hand are finished. It needs no connection beyond those of
    the lanes: one that delivers uses none.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._settings, self._database = context.settings, context.database
        self._reporter, self._in_flight = context.reporter, context.in_flight
        self._failing = False

    @property
    def interval(self) -> float:
        """Seconds between two turns: a tenth of a lease, so that a request has at least 0.4 of it."""
        return min(0.5, self._settings.lease_seconds / 10)

    def turn(self) -> None:
        """Renew the leases that are due; a failure is reported, and tried again at the next turn."""
        try:
            for lease in self._in_flight.leases():
                if lease.renewal_due:
                    self._renew(lease)
        except OutboxctlError as error:
            self._failing = True
            self._reporter.failed(error, observer=RENEWALS)
        else:
            if self._failing:
                self._failing = False
                self._reporter.succeeded(observer=RENEWALS)

    def _renew(self, lease: Lease) -> None:
        s, requested_at = self._settings, monotonic()
        with self._database.begin() as connection:
            renewed = renew(
                connection, lease.token, lease=s.lease_seconds, max_processing=s.max_processing_seconds
            )
        if renewed is Renewed.RENEWED:
            lease.renewed(requested_at)
        elif renewed is Renewed.LOST:
            lease.lost()
