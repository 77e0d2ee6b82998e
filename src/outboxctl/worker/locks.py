"""Rows and tables that somebody else has locked: say who, and write the outcomes once the lock is gone."""

import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery import lockers
from outboxctl.core.delivery.lockers import Locker
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import LockedError, OutboxctlError
from outboxctl.worker.health import Problem

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = structlog.get_logger()
EVERY = 60.0  # seconds between two lines about one locker
HINT = "end that transaction (pg_terminate_backend), or wait: all other events go on"


class Locks:
    """Names who is in the way of this worker. Any thread may call it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._logged: dict[object, float] = {}  # by locker, until when no other line is due

    def explain(self, error: OutboxctlError) -> Problem:
        """The error in one line; of a lock that was not given, who holds the table."""
        locker = self._ask(lockers.of_table) if isinstance(error, LockedError) else None
        public = error.public or "it cannot be used: the log says why"
        if not locker:
            return Problem(str(error), public)
        # A partition, like a session, may be called anything.
        table = locker.table if locker.table in {EVENTS, SOURCE} else f"a partition of {EVENTS}"
        said = f"{error}; {locker.table} is locked by {locker}"
        return Problem(said, f"{public}; {table} is locked by pid {locker.pid}")

    def log_rows(self, ids: Collection[str]) -> None:
        """Log who has locked these events, at most once a minute for one locker."""
        locker = self._ask(lambda connection: lockers.of_rows(connection, ids))
        if self._is_due((locker.pid, locker.prepared) if locker else None):
            log.warning(
                "events are locked by another session: their outcome is written when it ends",
                events=len(ids),
                locked_by=str(locker or "sessions that share the rows, or have ended meanwhile"),
                pid=locker.pid if locker else None,
                example=min(ids),
                hint=HINT,
            )

    def _is_due(self, key: object) -> bool:
        now = monotonic()
        with self._lock:
            self._logged = {each: until for each, until in self._logged.items() if until > now}
            return self._logged.setdefault(key, now + EVERY) == now + EVERY

    def _ask(self, question: "Callable[[Connection], Locker | None]") -> Locker | None:
        try:
            with self._database.begin() as connection:
                return question(connection)
        except OutboxctlError:
            return None
