"""What is wrong with the database, as the worker reports it: with the session whose locks are in the way."""

import threading
from collections.abc import Callable, Collection

import structlog

from outboxctl.core.database import Connection, Database
from outboxctl.core.database_errors import UNKNOWN
from outboxctl.core.delivery import diagnosis
from outboxctl.core.delivery.diagnosis import Locker
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import LockedError, OutboxctlError
from outboxctl.worker.health import Health, Problem

log = structlog.get_logger()
EVERY = 60.0  # seconds between two lines about one locker
HINT = "end that transaction (pg_terminate_backend), or wait: all other events go on"


class DatabaseReporter:
    """Reports the condition `database` and names the sessions that hold locks. Any thread may call it."""

    def __init__(self, database: Database, health: Health) -> None:
        self._database, self._health = database, health
        self._lock = threading.Lock()
        self._logged: dict[object, float] = {}  # by locker, until when no other line is due

    def failed(self, error: OutboxctlError, *, observer: str = "lane") -> None:
        """Report that a statement failed."""
        self._health.report("database", self.explain(error), observer=observer)

    def succeeded(self, *, observer: str = "lane") -> None:
        """Report that the database answered this observer."""
        self._health.report("database", None, observer=observer)

    def explain(self, error: OutboxctlError) -> Problem:
        """The error in one line; of a lock that was not granted, with the session that holds the table."""
        locker = self._ask(diagnosis.table_locker) if isinstance(error, LockedError) else None
        public = error.public or UNKNOWN
        if not locker:
            return Problem(str(error), public)
        # A partition, like a session, may be called anything.
        table = locker.table if locker.table in {EVENTS, SOURCE} else f"a partition of {EVENTS}"
        text = f"{error}; {locker.table} is locked by {locker}"
        return Problem(text, f"{public}; {table} is locked by pid {locker.pid}")

    def log_locked_rows(self, ids: Collection[str]) -> None:
        """Log which session has locked these events, at most once a minute for each session."""
        locker = self._ask(lambda connection: diagnosis.row_locker(connection, ids))
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

    def _ask(self, question: Callable[[Connection], Locker | None]) -> Locker | None:
        try:
            with self._database.begin() as connection:
                return question(connection)
        except OutboxctlError:
            return None
