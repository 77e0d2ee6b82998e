"""Stopping in order: finish batches within the grace, and release the events of the others."""

import threading
from collections.abc import Callable, Sequence
from time import sleep

import structlog

from outboxctl.core.delivery import settle
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import counted
from outboxctl.worker.context import WorkerContext

log = structlog.get_logger()
RELEASE_SHARE = 0.2  # of the grace is kept for releasing what a hanging sink does not answer
RELEASE_SECONDS = 2.0  # at the most
RETRY_SECONDS = 0.2  # between two tries while the database is unreachable


class Stopping:
    """Stops a worker; the main thread calls `run`, once."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._done, self._released, self._problem = False, 0, "the database did not answer in time"

    def run(self, lanes: Sequence[threading.Thread], grace: float, *, leave: Callable[[], None]) -> bool:
        """Finish or release what is in flight within `grace` seconds; False if something is left.

        What is left is reclaimed by a worker once its lease is over. `leave` is called once nothing is.
        """
        context = self._context
        context.signals.stop()
        context.health.drain()
        end = monotonic() + grace
        _join(lanes, end - min(RELEASE_SHARE * grace, RELEASE_SECONDS))
        context.in_flight.abandon()
        # In a thread of its own: a database that hangs must not hold the process beyond its grace.
        releasing = threading.Thread(target=self._release, args=(end, leave), name="release", daemon=True)
        releasing.start()
        _join([releasing], end)
        if self._done:
            released = context.progress.released + self._released
            log.info("worker stopped", done=context.progress.completed, released=released)
        else:
            log.warning("could not release everything; the leases will", problem=self._problem)
        return self._done

    def _release(self, end: float, leave: Callable[[], None]) -> None:
        """Try until the grace is over."""
        while monotonic() < end:
            try:
                if locked := self._try():
                    self._problem = f"{counted(locked, 'event')} locked by another session"
                else:
                    leave()
                    self._done = True
                    return
            except OutboxctlError as error:
                self._problem = str(error)
            sleep(RETRY_SECONDS)

    def _try(self) -> int:
        """Release what can be released; how many events are locked by another session."""
        database, postponed = self._context.database, self._context.postponed
        postponed.turn()
        if not (tokens := [*self._context.in_flight.tokens()]):
            return postponed.waiting
        with database.begin() as connection:
            released = settle.release(connection, tokens)
            locked = settle.held(connection, tokens)
        self._released += len(released)
        return len(locked) + postponed.waiting


def _join(threads: Sequence[threading.Thread], end: float) -> None:
    for thread in threads:
        thread.join(timeout=max(0.0, end - monotonic()))
