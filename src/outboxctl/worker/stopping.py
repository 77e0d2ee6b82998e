"""Stopping in order: let batches end, release what does not, and leave nothing in our hands."""

import threading
from collections.abc import Callable, Sequence
from time import sleep

import structlog

from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import counted
from outboxctl.worker.shared import Shared, release, still_held

log = structlog.get_logger()
RELEASE_SHARE = 0.2  # of the grace is kept for releasing what a hanging sink does not answer
RELEASE_SECONDS = 2.0  # at the most
AGAIN = 0.2  # seconds between two tries while the database is away


def stop(
    shared: Shared, lanes: Sequence[threading.Thread], grace: float, *, leave: Callable[[], None]
) -> bool:
    """Finish or release whatever is in flight within `grace` seconds; False if something is left.

    What is left belongs to its lease: another worker reclaims it. `leave` is called once nothing is.
    """
    shared.stop()
    shared.health.drain()
    end = monotonic() + grace
    _join(lanes, end - min(RELEASE_SHARE * grace, RELEASE_SECONDS))
    shared.given_up.set()
    releasing = _Release(shared, end, leave)
    releasing.start()
    _join([releasing], end)
    if releasing.done:
        log.info("worker stopped", done=shared.completed, released=shared.released + releasing.events)
    else:
        log.warning("could not release everything; the leases will", problem=releasing.problem)
    return releasing.done


def _join(threads: Sequence[threading.Thread], end: float) -> None:
    for thread in threads:
        thread.join(timeout=max(0.0, end - monotonic()))


class _Release(threading.Thread):
    """In a thread of its own: a database that hangs must not hold the process beyond its grace."""

    def __init__(self, shared: Shared, end: float, leave: Callable[[], None]) -> None:
        super().__init__(name="release", daemon=True)
        self._shared, self._end, self._leave = shared, end, leave
        self.done, self.events, self.problem = False, 0, "the database did not answer in time"

    def run(self) -> None:
        """Try until the grace is over."""
        while not self.done and monotonic() < self._end:
            try:
                self._shared.postponed.turn()
                tokens = {*self._shared.claims, *self._shared.unanswered()}
                self.events += release(self._shared, tokens)
                if locked := still_held(self._shared, tokens) + self._shared.postponed.waiting:
                    self.problem = f"{counted(locked, 'event')} locked by another session"
                    sleep(AGAIN)
                    continue
                self.done = True
                self._leave()
            except OutboxctlError as error:
                self.problem = str(error)
                sleep(AGAIN)
