"""What a worker reports of its work: what it has done, and what is wrong with the database."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

import structlog

from outboxctl.core.database import Connection, Database
from outboxctl.core.database_errors import UNKNOWN
from outboxctl.core.delivery import diagnosis
from outboxctl.core.delivery.diagnosis import Locker
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import LockedError, OutboxctlError
from outboxctl.metrics.registry import Metrics
from outboxctl.worker.health import Health, Problem
from outboxctl.worker.signals import Signals

log = structlog.get_logger()
MINUTE = 60.0  # seconds between two lines of progress, about one locker, and about one reason
HINT = "end that transaction (pg_terminate_backend), or wait: all other events go on"


class Repeats:
    """Which things occurred lately. An outage has a reason for each batch: only the first is worth a line.

    Shared by threads without a lock: a race costs a line too many.
    """

    def __init__(self) -> None:
        self._until: dict[object, float] = {}

    def first(self, keys: Iterable[object]) -> bool:
        """Whether one of these is the first for a minute."""
        now, keys = monotonic(), list(keys)
        new = any(now >= self._until.get(key, 0.0) for key in keys)
        kept = {key: until for key, until in self._until.items() if until > now}
        self._until = kept | dict.fromkeys(keys, now + MINUTE)
        return new


class Progress:
    """Counts events of this process; any thread may call it. Each number only grows."""

    def __init__(self, health: Health, signals: Signals) -> None:
        self._health, self._signals = health, signals
        self._lock = threading.Lock()
        self.repeats = Repeats()
        self.completed = 0  # events that became done
        self.released = 0  # events that lanes released untried since the stop

    def complete(self, events: int) -> None:
        """Count events that became done just now."""
        with self._lock:
            self.completed += events
        self._health.succeeded()

    def release(self, events: int) -> None:
        """Count events that were released untried; only once the worker stops: before, that is ordinary."""
        if self._signals.stopping:
            with self._lock:
                self.released += events


class ProgressLog:
    """Once a minute a line of what was done, if anything was; one thread calls `turn` again and again."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics, self._health = metrics, health
        self._next = monotonic() + MINUTE
        self._before = metrics.totals()

    def turn(self) -> None:
        """Log the minute that is over. While the sink cannot be used there is a line even without events."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + MINUTE
        now = self._metrics.totals()
        minute = {name: counts - self._before[name] for name, counts in now.items()}
        self._before = now
        if outage := self._health.outage("sink"):
            log.warning("the sink still cannot be used", **outage, **self._figures(minute))
        elif any(minute.values()):
            log.info("events of the last minute", **self._figures(minute))

    def _figures(self, minute: dict[str, Counter[str]]) -> dict[str, object]:
        figures: dict[str, object] = {name: counts.total() for name, counts in minute.items()}
        figures["lag"] = int(self._metrics.value("lag"))
        if reasons := minute["retried"] + minute["failed"]:
            figures["reasons"] = dict(reasons)
        return figures


class DatabaseReporter:
    """Reports the condition `database` and names the sessions that hold locks. Any thread may call it."""

    def __init__(self, database: Database, health: Health) -> None:
        self._database, self._health, self._repeats = database, health, Repeats()

    def failed(self, error: OutboxctlError, *, observer: str = "lane") -> None:
        """Report that a statement failed."""
        self._health.report("database", self.explain(error), observer=observer)

    def succeeded(self, *, observer: str = "lane") -> None:
        """Report that the database answered this observer."""
        self._health.report("database", None, observer=observer)

    @contextmanager
    def reporting(self, observer: str) -> Iterator[None]:
        """Around what an observer does at the database: its error is reported, and raised no further."""
        try:
            yield
        except OutboxctlError as error:
            self.failed(error, observer=observer)
        else:
            self.succeeded(observer=observer)

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
        if self._repeats.first([(locker.pid, locker.prepared) if locker else None]):
            log.warning(
                "events are locked by another session: their outcome is written when it ends",
                events=len(ids),
                locked_by=str(locker or "sessions that share the rows, or have ended meanwhile"),
                pid=locker.pid if locker else None,
                example=min(ids),
                hint=HINT,
            )

    def _ask(self, question: Callable[[Connection], Locker | None]) -> Locker | None:
        try:
            with self._database.begin() as connection:
                return question(connection)
        except OutboxctlError:
            return None
