"""What a worker has done so far, and logs of it: a line a minute, and the first line of each problem."""

import threading
from collections import Counter
from collections.abc import Iterable

import structlog

from outboxctl.domain.clock import monotonic
from outboxctl.metrics.registry import Metrics
from outboxctl.worker.health import Health
from outboxctl.worker.signals import Signals

log = structlog.get_logger()
MINUTE = 60.0  # seconds between two lines
QUIET = 60.0  # seconds without a reason until its next occurrence is logged by itself again


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


class Repeats:
    """Which reasons occurred lately. An outage has one for each batch: only the first is worth a line.

    Shared by the lanes without a lock: a race costs a line too many.
    """

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def first(self, outcome: str, reasons: Iterable[str]) -> bool:
        """Whether one of these reasons of this outcome is the first for a minute."""
        now, keys = monotonic(), [(outcome, reason) for reason in reasons]
        new = any(now >= self._until.get(key, 0.0) for key in keys)
        self._until.update(dict.fromkeys(keys, now + QUIET))
        return new


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
