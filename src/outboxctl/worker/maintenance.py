"""What a worker does besides delivering: free what died, and look at both ends."""

from threading import Event
from time import time

import structlog

from outboxctl.core.delivery.reclaim import Reclaimed, reclaim
from outboxctl.core.stats import counts, snapshot
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.failures import Classification, Reason
from outboxctl.domain.lifecycle import op_label
from outboxctl.sink.delivery.result import Probe
from outboxctl.worker.health import Problem
from outboxctl.worker.heartbeat import Heartbeat
from outboxctl.worker.shared import Shared, release

log = structlog.get_logger()
MOST_RARELY = 30.0  # seconds between two looks at the gauges where they take long


class Maintenance:
    """`turn`, `look_at_database` and `look_at_sink` are called again and again, each by its own thread."""

    def __init__(self, shared: Shared, probe: Probe, heartbeat: Heartbeat) -> None:
        self._shared, self._settings, self._probe = shared, shared.settings, probe
        self._heartbeat = heartbeat
        self._next_reclaim = self._next_gauges = 0.0
        self.looked_at_sink = Event()  # once, at least

    def turn(self) -> None:
        """One round at the database; one that is away is reported, not raised."""
        self._heartbeat.beat()
        try:
            self._release_unanswered()
            self._shared.postponed.turn()
            if monotonic() >= self._next_reclaim:
                self.reclaim()
                self._next_reclaim = monotonic() + self._settings.reclaim_interval_seconds
            if monotonic() >= self._next_gauges:
                self.look_at_gauges()
        except OutboxctlError as error:
            problem = self._shared.locks.explain(error)
            self._shared.health.report("database", problem, observer="maintenance")
        else:
            self._shared.health.report("database", None, observer="maintenance")

    def look_at_database(self) -> None:
        """Ask whether the database takes writes; whatever else waits for it, silence is noticed here."""
        health = self._shared.health
        try:
            with health.waiting_for("database"), self._shared.database.begin() as connection:
                writable = snapshot.writable(connection)
                self._shared.quarantine.occupied |= snapshot.anything_reclaimed(connection)
        except OutboxctlError as error:
            health.report("database", self._shared.locks.explain(error))
        else:
            health.report("database", None if writable else "the server is read-only")

    def look_at_gauges(self) -> None:
        """Set the gauges; rarely where a look takes long: a million pending rows are counted each time."""
        started = monotonic()
        try:
            with self._shared.database.begin() as connection:
                now = counts.gauges(connection, max_processing=self._settings.max_processing_seconds)
                due = snapshot.anything_due(connection)
                waiting = snapshot.anything_waiting(connection)
        finally:
            self._next_gauges = monotonic() + min(MOST_RARELY, 10 * (monotonic() - started))
        self._set_gauges(now)
        if not waiting:
            self._shared.health.idle()
        self._shared.health.progress(due=due)

    def look_at_sink(self) -> None:
        """Ask the sink whether it is there."""
        with self._shared.health.waiting_for("sink"), self._shared.tracing.unseen():
            finding = self._probe.ping()
        self._shared.start_gate.observe(finding)
        waits = "; nothing is claimed until then" if self._shared.start_gate.problem else ""
        problem = Problem(_describe(finding) + waits, finding.public + waits) if finding else None
        self._shared.health.report("sink", problem)
        self.looked_at_sink.set()

    def reclaim(self) -> None:
        """Free stuck events, whoever held them."""
        s = self._settings
        with self._shared.database.begin() as connection:
            found = reclaim(connection, max_processing=s.max_processing_seconds, max_attempts=s.max_attempts)
        if found.total:
            self._shared.quarantine.occupied = True
            self._count_reclaimed(found)

    def _count_reclaimed(self, found: Reclaimed) -> None:
        metrics = self._shared.metrics
        log.warning(
            f"Reclaimed {found.total} stuck outbox events (expired lease or max processing exceeded)",
            failed=len(found.failed_ops),
        )
        metrics.count("reclaimed", found.total)
        for op in found.failed_ops:
            metrics.not_done("terminal", op_label(op), Reason.LEASE_EXPIRED, 1)

    def _release_unanswered(self) -> None:
        release(self._shared, self._shared.unanswered())

    def _set_gauges(self, now: counts.Gauges) -> None:
        self._shared.metrics.set("lag", now.lag)
        self._shared.metrics.set("stuck", now.stuck)
        self._shared.metrics.set("oldest_age", now.oldest_age_seconds)
        self._shared.metrics.set("refreshed", time())


def _describe(finding: Classification) -> str:
    reason = f"{finding.reason}: "
    return reason + finding.error.removeprefix(reason)
