"""What a worker logs between its start and its end: a line a minute, and the first line of each trouble."""

from collections import Counter
from collections.abc import Iterable

import structlog

from outboxctl.domain.clock import monotonic
from outboxctl.metrics.registry import Metrics
from outboxctl.worker.health import Health

log = structlog.get_logger()
MINUTE = 60.0  # seconds between two lines
QUIET = 60.0  # seconds without a reason until its next occurrence is logged by itself again


class Repeats:
    """Which reasons were met lately. An outage meets one for each batch: only the first is worth a line."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}  # shared by lanes; a line too many does no harm

    def first(self, end: str, reasons: Iterable[str]) -> bool:
        """Whether one of these reasons, of events that came to this end, is the first for a while."""
        now, met = monotonic(), [(end, reason) for reason in reasons]
        new = any(now >= self._until.get(key, 0.0) for key in met)
        self._until.update(dict.fromkeys(met, now + QUIET))
        return new


class ProgressLog:
    """`turn` is called again and again; once a minute it logs what was done, if anything was."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics, self._health = metrics, health
        self._next = monotonic() + MINUTE
        self._before = metrics.totals()

    def turn(self) -> None:
        """Log the minute that is over. While the sink cannot be used there is a line even if nothing was."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + MINUTE
        now = self._metrics.totals()
        minute = {name: counts - self._before[name] for name, counts in now.items()}
        self._before = now
        if outage := self._health.outage("sink"):
            log.warning("the sink still cannot be used", **outage, **self._said(minute))
        elif any(minute.values()):
            log.info("events of the last minute", **self._said(minute))

    def _said(self, minute: dict[str, Counter[str]]) -> dict[str, object]:
        said: dict[str, object] = {name: counts.total() for name, counts in minute.items()}
        said["lag"] = int(self._metrics.value("lag"))
        if reasons := minute["retried"] + minute["failed"]:
            said["reasons"] = dict(reasons)
        return said
