"""What a worker does at the database besides delivering: free stuck events, and read the gauges."""

from time import time

import structlog

from outboxctl.core.delivery import settle
from outboxctl.core.delivery.leases import reclaim
from outboxctl.core.stats import by_projection, snapshot
from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import PROJECTION, op_label
from outboxctl.worker.claiming.claimer import ReclaimedTurns
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.projections.expanding import Expander
from outboxctl.worker.upkeep.heartbeat import Heartbeat

log = structlog.get_logger()
LONGEST_PAUSE = 30.0  # seconds between two reads of the gauges where they take long


class Maintenance:
    """A thread of its own calls `turn` again and again; a drain calls `reclaim` before the lanes start."""

    def __init__(
        self,
        context: WorkerContext,
        heartbeat: Heartbeat,
        reclaimed: ReclaimedTurns,
        flow: FlowControl,
        expander: Expander,
    ) -> None:
        self._context, self._settings, self._database = context, context.settings, context.database
        self._heartbeat, self._reclaimed, self._flow, self._expander = heartbeat, reclaimed, flow, expander
        self._next_reclaim = self._next_gauges = 0.0
        self.own_lag: int | None = None  # events of search_index that are not done; None: not read yet

    def turn(self) -> None:
        """One round at the database; an unreachable one is reported, not raised."""
        self._heartbeat.beat()
        with self._context.reporter.reporting("maintenance"):
            if tokens := self._context.in_flight.unanswered():
                with self._database.begin() as connection:
                    settle.release(connection, tokens)
            self._context.postponed.turn()
            if monotonic() >= self._next_reclaim:
                self.reclaim()
                self._next_reclaim = monotonic() + self._settings.reclaim_interval_seconds
            if monotonic() >= self._next_gauges:
                self.refresh_gauges()

    def refresh_gauges(self) -> None:
        """Set the gauges; rarely where that takes long: a million pending rows are counted each time."""
        started, context = monotonic(), self._context
        try:
            with self._database.begin() as connection:
                now = by_projection.gauges(
                    connection,
                    context.metrics.declared,
                    max_processing=self._settings.max_processing_seconds,
                )
                due = snapshot.anything_due(connection)
                waiting = snapshot.anything_waiting(connection)
                following = self._expander.due(connection)
        finally:
            self._next_gauges = monotonic() + min(LONGEST_PAUSE, 10 * (monotonic() - started))
        for name, figures in now.items():
            metrics = context.metrics.of(name)
            metrics.set("lag", figures.lag)
            metrics.set("stuck", figures.stuck)
            metrics.set("oldest_age", figures.oldest_age_seconds)
            metrics.set("refreshed", time())
        self.own_lag = now[PROJECTION].lag
        if not waiting:
            context.health.idle()
            self._flow.idle()
        context.health.progress(due=due)
        context.health.following(due=following)

    def reclaim(self) -> None:
        """Free stuck events of any worker."""
        s, metrics = self._settings, self._context.metrics
        with self._database.begin() as connection:
            reclaimed = reclaim(
                connection, max_processing=s.max_processing_seconds, max_attempts=s.max_attempts
            )
        if not reclaimed.total:
            return
        self._reclaimed.expect()
        log.warning(
            f"Reclaimed {reclaimed.total} stuck outbox events (expired lease or max processing exceeded)",
            failed=len(reclaimed.failed_ops),
        )
        metrics.count("reclaimed", reclaimed.total)
        for op in reclaimed.failed_ops:
            metrics.not_done("terminal", op_label(op), Reason.LEASE_EXPIRED, 1)
