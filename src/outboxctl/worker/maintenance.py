"""What a worker does besides delivering: free stuck events, and examine the database and the sink."""

from threading import Event
from time import time

import structlog

from outboxctl.core.database import Connection
from outboxctl.core.delivery.leases import Reclaimed, reclaim
from outboxctl.core.projections import choosing
from outboxctl.core.stats import by_projection, snapshot
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.failures import Classification, Reason
from outboxctl.domain.lifecycle import PROJECTION, op_label
from outboxctl.metrics.registry import Metrics
from outboxctl.settings.kinds import SinkNodes
from outboxctl.sink.delivery.result import Probe
from outboxctl.worker.admission import StartGate
from outboxctl.worker.claimer import ReclaimedTurns
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.health import problem_of
from outboxctl.worker.heartbeat import Heartbeat
from outboxctl.worker.in_flight import release
from outboxctl.worker.sink_probe import SinkProbe

log = structlog.get_logger()
LOOK_INTERVAL = 5.0  # seconds between two looks for another primary
LONGEST_PAUSE = 30.0  # seconds between two reads of the gauges where they take long


class Maintenance:
    """`turn`, `check_database` and `check_sink` are called again and again, each by a thread of its own.

    No two threads call the same one at once, except `reclaim`: a drain calls it before the lanes start.
    """

    def __init__(
        self,
        context: WorkerContext,
        probe: Probe,
        heartbeat: Heartbeat,
        reclaimed: ReclaimedTurns,
        start_gate: StartGate,
    ) -> None:
        self._context, self._settings, self._database = context, context.settings, context.database
        self._health, self._reporter, self._metrics = context.health, context.reporter, context.metrics
        s = context.settings
        several = len(s.sink_urls) > 1 or s.sink_nodes is SinkNodes.DISCOVERED
        self._probe = SinkProbe(probe, several=several)
        self._heartbeat = heartbeat
        self._reclaimed, self._start_gate = reclaimed, start_gate
        self._next_reclaim = self._next_gauges = self._next_look = 0.0
        self._own_lag: int | None = None  # events of search_index that are not done; None: not read yet
        self._projected: list[str] = []  # the indexes of the projections in force
        self.sink_checked = Event()  # at least once

    def turn(self) -> None:
        """One round at the database; an unreachable one is reported, not raised."""
        self._heartbeat.beat()
        try:
            release(self._database, self._context.in_flight.unanswered())
            self._context.postponed.turn()
            if monotonic() >= self._next_reclaim:
                self.reclaim()
                self._next_reclaim = monotonic() + self._settings.reclaim_interval_seconds
            if monotonic() >= self._next_gauges:
                self.refresh_gauges()
        except OutboxctlError as error:
            self._reporter.failed(error, observer="maintenance")
        else:
            self._reporter.succeeded(observer="maintenance")

    def check_database(self) -> None:
        """Report whether the database takes writes; also where nothing else notices that it is silent."""
        self._follow_primary()
        health = self._health
        try:
            with health.waiting_for("database"), self._database.begin() as connection:
                writable = snapshot.writable(connection)
                if snapshot.anything_reclaimed(connection):
                    self._reclaimed.may_exist = True
                self._learn_projections(connection)
        except OutboxctlError as error:
            self._reporter.failed(error, observer="probe")
        else:
            health.report("database", None if writable else "the server is read-only")

    def _follow_primary(self) -> None:
        """Of several servers use the newest primary, and log where that is another one now."""
        if monotonic() < self._next_look:
            return
        for move in self._database.look():
            log.warning(
                "the worker left a PostgreSQL server: another one is the primary",
                left=str(move.left),
                now=str(move.now),
            )
        self._next_look = monotonic() + LOOK_INTERVAL

    def _learn_projections(self, connection: Connection) -> None:
        """Take up the projections in force."""
        declared = choosing.declared(connection)
        for projection in declared:
            self._metrics.declare(projection.name)
        self._projected = [projection.index for projection in declared]
        self._start_gate.serves_others = bool(declared)

    def refresh_gauges(self) -> None:
        """Set the gauges; rarely where that takes long: a million pending rows are counted each time."""
        started = monotonic()
        try:
            with self._database.begin() as connection:
                now = by_projection.gauges(
                    connection,
                    self._metrics.declared,
                    max_processing=self._settings.max_processing_seconds,
                )
                due = snapshot.anything_due(connection)
                waiting = snapshot.anything_waiting(connection)
        finally:
            self._next_gauges = monotonic() + min(LONGEST_PAUSE, 10 * (monotonic() - started))
        for name, figures in now.items():
            self._set_gauges(self._metrics.of(name), figures)
        self._own_lag = now[PROJECTION].lag
        if not waiting:
            self._health.idle()
        self._health.progress(due=due)

    def check_sink(self) -> None:
        """Report whether the sink answers, its index exists, and what is written to takes events."""
        patience = self._probe.patience
        with self._health.waiting_for("sink", patience=patience), self._context.tracing.untraced():
            finding = self._probe.ask()
            unhealthy = self._probe.health(self._written(finding))
        self._start_gate.observe(finding)
        if not self._others_go_on(finding):
            self._report_sink(finding)
        elif self._own_lag is not None:  # once the events of search_index have been counted
            self._report_sink(finding if self._own_lag else None)
        self._health.report("sink", problem_of(unhealthy) if unhealthy else None, observer="indexes")
        self._health.report("sink", self._health.standstill.problem(), observer="deliveries")
        self.sink_checked.set()

    def _written(self, finding: Classification | None) -> list[str]:
        """The indexes that this worker writes to and that can be there; none of a sink that is away."""
        if finding is None:
            return [self._context.settings.elastic_index, *self._projected]
        return list(self._projected) if finding.reason is Reason.INDEX_UNAVAILABLE else []

    def _others_go_on(self, finding: Classification | None) -> bool:
        """Whether only the index of search_index is missing, while projections are in force."""
        missing = finding is not None and finding.reason is Reason.INDEX_UNAVAILABLE
        return missing and self._start_gate.serves_others

    def _report_sink(self, finding: Classification | None) -> None:
        waits = ""
        if self._start_gate.closed:
            waits = "; nothing is claimed until then"
        elif self._others_go_on(finding):
            waits = "; events of search_index wait until then"
        self._health.report("sink", problem_of(finding, end=waits) if finding else None)

    def reclaim(self) -> None:
        """Free stuck events of any worker."""
        s = self._settings
        with self._database.begin() as connection:
            reclaimed = reclaim(
                connection, max_processing=s.max_processing_seconds, max_attempts=s.max_attempts
            )
        if reclaimed.total:
            self._reclaimed.may_exist = True
            self._count_reclaimed(reclaimed)

    def _count_reclaimed(self, reclaimed: Reclaimed) -> None:
        log.warning(
            f"Reclaimed {reclaimed.total} stuck outbox events (expired lease or max processing exceeded)",
            failed=len(reclaimed.failed_ops),
        )
        self._metrics.count("reclaimed", reclaimed.total)
        for op in reclaimed.failed_ops:
            self._metrics.not_done("terminal", op_label(op), Reason.LEASE_EXPIRED, 1)

    @staticmethod
    def _set_gauges(metrics: Metrics, now: by_projection.Gauges) -> None:
        metrics.set("lag", now.lag)
        metrics.set("stuck", now.stuck)
        metrics.set("oldest_age", now.oldest_age_seconds)
        metrics.set("refreshed", time())
