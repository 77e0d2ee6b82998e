"""Stopping in order: finish batches within the grace, and release the events of the others."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import sleep

import structlog

from outboxctl.core.delivery import settle
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import counted
from outboxctl.worker.claiming.leases import release
from outboxctl.worker.context import WorkerContext

log = structlog.get_logger()
RELEASE_SHARE = 0.2  # of the grace is kept for releasing what a hanging sink does not answer
RELEASE_SECONDS = 2.0  # at the most
RETRY_SECONDS = 0.2  # between two tries while the database is unreachable


@dataclass(frozen=True)
class Stopping:
    """Stops a worker; the main thread calls `run`, once.

    `waiting`: how many events a drain has left that are not due yet; None where they were not counted.
    """

    context: WorkerContext
    waiting: int | None = None

    def run(self, lanes: Sequence[threading.Thread], grace: float, *, leave: Callable[[], None]) -> bool:
        """Finish or release what is in flight within `grace` seconds; False if something is left.

        What is left is reclaimed by a worker once its lease is over. `leave` is called once nothing is.
        """
        context = self.context
        context.signals.stop()
        context.health.drain()
        end = monotonic() + grace
        _join(lanes, end - min(RELEASE_SHARE * grace, RELEASE_SECONDS))
        context.in_flight.abandon()
        releasing = _Release(context, end, leave)
        releasing.thread.start()
        _join([releasing.thread], end)
        if releasing.done:
            released = context.progress.released + releasing.events
            waiting = {} if self.waiting is None else {"waiting": self.waiting}
            log.info("worker stopped", done=context.progress.completed, released=released, **waiting)
        else:
            log.warning("could not release everything; the leases will", problem=releasing.problem)
        return releasing.done


def _join(threads: Sequence[threading.Thread], end: float) -> None:
    for thread in threads:
        thread.join(timeout=max(0.0, end - monotonic()))


class _Release:
    """In a thread of its own: a database that hangs must not hold the process beyond its grace.

    It has a thread and is none: the attributes of a Thread are Python's, and from 3.14 on `_context` is one.
    """

    def __init__(self, context: WorkerContext, end: float, leave: Callable[[], None]) -> None:
        self.thread = threading.Thread(target=self._run, name="release", daemon=True)
        self._context, self._end, self._leave = context, end, leave
        self.done, self.events, self.problem = False, 0, "the database did not answer in time"

    def _run(self) -> None:
        """Try until the grace is over."""
        while not self.done and monotonic() < self._end:
            try:
                self.done = self._try()
            except OutboxctlError as error:
                self.problem = str(error)
            if not self.done:
                sleep(RETRY_SECONDS)

    def _try(self) -> bool:
        database, postponed = self._context.database, self._context.postponed
        postponed.turn()
        tokens = self._context.in_flight.tokens()
        locked = postponed.waiting
        if tokens:
            self.events += release(database, tokens)
            with database.begin() as connection:
                locked += len(settle.held(connection, list(tokens)))
        if locked:
            self.problem = f"{counted(locked, 'event')} locked by another session"
            return False
        self._leave()
        return True
