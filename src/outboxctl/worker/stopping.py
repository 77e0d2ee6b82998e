"""Stopping in order: let batches end, give back what does not, and leave nothing in our hands."""

import threading
from collections.abc import Sequence
from time import monotonic

import structlog

from outboxctl.errors import OutboxctlError
from outboxctl.worker.shared import Shared, release

log = structlog.get_logger()
GIVE_BACK_SHARE = 0.2  # of the grace is kept for giving back what a hanging sink does not answer
GIVE_BACK_SECONDS = 2.0  # at the most


def stop(shared: Shared, lanes: Sequence[threading.Thread], grace: float) -> bool:
    """Finish or give back whatever is in flight within `grace` seconds; False if something is left.

    What is left belongs to its lease: another worker reclaims it.
    """
    shared.stopping.set()
    shared.health.drain()
    end = monotonic() + grace
    _join(lanes, end - min(GIVE_BACK_SHARE * grace, GIVE_BACK_SECONDS))
    giving = _GiveBack(shared)
    giving.start()
    _join([giving], end)
    if giving.done:
        log.info("worker stopped", released=giving.events)
    else:
        log.warning("could not give everything back; the leases will", problem=giving.problem)
    return giving.done


def _join(threads: Sequence[threading.Thread], end: float) -> None:
    for thread in threads:
        thread.join(timeout=max(0.0, end - monotonic()))


class _GiveBack(threading.Thread):
    """In a thread of its own: a database that hangs must not hold the process beyond its grace."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(name="give-back", daemon=True)
        self._shared = shared
        self.done, self.events, self.problem = False, 0, "the database did not answer in time"

    def run(self) -> None:
        try:
            self.events = release(self._shared, {*self._shared.held, *self._shared.lost})
        except OutboxctlError as error:
            self.problem = str(error)
        else:
            self.done = True
