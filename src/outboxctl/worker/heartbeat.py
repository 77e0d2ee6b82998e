"""A worker says how it is: one small row, written every few seconds, and never at delivery's expense."""

import os
import socket
import threading
from contextlib import suppress
from uuid import uuid4

import structlog

from outboxctl import __version__
from outboxctl.core.stats import workers
from outboxctl.core.stats.workers import INTERVAL, OTHERS_ROW, Beat
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, UnreachableError
from outboxctl.worker.shared import Shared

log = structlog.get_logger()
REFUSED = 60.0  # seconds until it is tried again where the database refuses it: no such table, no right


class Heartbeat:
    """The heartbeat of this process; `beat` may be called as often as one likes."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._id, self._host = str(uuid4()), socket.gethostname()[:255]
        self._started = monotonic()
        self._next = 0.0
        self._inserted: int | None = None
        self._completed = 0  # events that were completed before the last heartbeat
        self._silenced = False
        self._lock = threading.Lock()  # a late heartbeat must not bring back the row of who has left

    def beat(self) -> None:
        """Write the row if it is time. What goes wrong costs a heartbeat and nothing else."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + INTERVAL
        try:
            with self._lock:
                self._write()
            self._silenced = False
        except UnreachableError:
            pass  # whoever looks at the database says so
        except OutboxctlError as error:
            self._give_up_for_now(error)

    def leave(self) -> None:
        """Take the row away: this worker stops. Where that fails, `status` shows it silent for a day."""
        with self._lock, suppress(OutboxctlError), self._shared.database.begin() as connection:
            workers.leave(connection, self._id)

    def _write(self) -> None:
        if self._shared.stopping.is_set():
            return
        completed = self._shared.completed
        own = self._describe(completed - self._completed)
        with self._shared.database.begin() as connection:
            inserted = workers.beat(connection, own, self._inserted)
        self._inserted, self._completed = inserted, completed

    def _describe(self, completed: int) -> Beat:
        s = self._shared.settings
        return Beat(
            id=self._id,
            worker_id=s.worker_id,
            host=self._host,
            pid=os.getpid(),
            version=__version__[:40],
            uptime=monotonic() - self._started,
            in_flight=self._shared.in_flight(),
            outage_policy=s.outage_policy.value,
            circuit_open=self._shared.circuit_open,
            completed=completed,
            progress_age=self._shared.health.progress_age(),
        )

    def _give_up_for_now(self, error: OutboxctlError) -> None:
        if OTHERS_ROW in str(error):  # a rotated secret is of another login, which has a row of its own
            self._id, self._next = str(uuid4()), 0.0
            return
        self._next = monotonic() + REFUSED
        if not self._silenced:
            log.warning("`outboxctl status` cannot show this worker", problem=str(error), hint=error.hint)
        self._silenced = True
