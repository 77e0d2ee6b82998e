"""What keeps a worker's claims and its row alive: renewal of leases, and the heartbeat."""

import os
import socket
import threading
from contextlib import suppress
from uuid import uuid4

import structlog

from outboxctl import __version__
from outboxctl.core.delivery.leases import Renewed, renew
from outboxctl.core.stats import workers
from outboxctl.core.stats.workers import INTERVAL, OTHERS_ROW, HeartbeatRow
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, UnreachableError
from outboxctl.worker.claiming.leases import Lease
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl

log = structlog.get_logger()


class Heartbeat:
    """The heartbeat of this process: one small row, written every few seconds; delivery does not wait for it.

    Maintenance calls `beat`, at any rate; whoever stops calls `leave`.
    """

    def __init__(self, context: WorkerContext, flow: FlowControl) -> None:
        self._context, self._flow = context, flow
        self._id, self._host = str(uuid4()), socket.gethostname()[:255]
        self._started = monotonic()
        self._next = 0.0
        self._inserted: int | None = None
        self._completed = 0  # events that were completed before the last heartbeat
        self._silenced = False
        self._lock = threading.Lock()  # a late `beat` must not insert the row again after `leave`

    def beat(self) -> None:
        """Write the row if it is time. An error costs a heartbeat and nothing else."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + INTERVAL
        try:
            with self._lock:
                self._write()
            self._silenced = False
        except UnreachableError:
            pass  # the probe of the database reports it
        except OutboxctlError as error:
            self._refused(error)

    def leave(self) -> None:
        """Delete the row: this worker stops. Where that fails, `status` shows it silent for a day."""
        with self._lock, suppress(OutboxctlError), self._context.database.begin() as connection:
            workers.delete_worker(connection, self._id)

    def _write(self) -> None:
        if self._context.signals.stopping:
            return
        completed = self._context.progress.completed
        own = self._describe(completed - self._completed)
        with self._context.database.begin() as connection:
            inserted = workers.write_heartbeat(connection, own, self._inserted)
        self._inserted, self._completed = inserted, completed

    def _describe(self, completed: int) -> HeartbeatRow:
        s = self._context.settings
        return HeartbeatRow(
            id=self._id,
            worker_id=s.worker_id,
            host=self._host,
            pid=os.getpid(),
            version=__version__[:40],
            uptime=monotonic() - self._started,
            in_flight=self._context.in_flight.events(),
            outage_policy=s.outage_policy.value,
            circuit_open=self._flow.holds_events,
            completed=completed,
            progress_age=self._context.health.progress_age(),
            outages=self._flow.outages(),
        )

    def _refused(self, error: OutboxctlError) -> None:
        if OTHERS_ROW in str(error):  # a rotated secret is of another login, which has a row of its own
            self._id, self._next = str(uuid4()), 0.0
        elif not self._silenced:
            log.warning("`outboxctl status` cannot show this worker", problem=str(error), hint=error.hint)
            self._silenced = True


class Renewal:
    """Renews leases while their batches are delivered; a thread of its own calls `turn`.

    A delivery in many requests, halves of a refused batch, may take longer than a lease. The thread goes
    on after a stop, for as long as batches in hand are finished.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context

    def wait(self) -> bool:
        """Wait for the next turn, a tenth of a lease, so that a request has at least 0.4 of it.

        Returns whether the grace of a stop is over.
        """
        return self._context.signals.wait_for_abandon(min(0.5, self._context.settings.lease_seconds / 10))

    def turn(self) -> None:
        """Renew the leases that are due; a failure is reported, and tried again at the next turn."""
        with self._context.reporter.reporting("renewal"):
            for lease in self._context.in_flight.leases():
                if lease.renewal_due:
                    self._renew(lease)

    def _renew(self, lease: Lease) -> None:
        s, requested_at = self._context.settings, monotonic()
        with self._context.database.begin() as connection:
            renewed = renew(
                connection, lease.token, lease=s.lease_seconds, max_processing=s.max_processing_seconds
            )
        if renewed is Renewed.RENEWED:
            lease.renewed(requested_at)
        elif renewed is Renewed.LOST:
            lease.lost()
