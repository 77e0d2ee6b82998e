"""The probes of both ends: whether the database takes writes, and the sink and the index are there."""

from collections.abc import Callable
from threading import Event

import structlog

from outboxctl.core.projections import in_force
from outboxctl.core.stats import snapshot
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.failures import NO_ANSWER, Classification, Reason
from outboxctl.domain.projection import Projection
from outboxctl.settings.connections import SinkNodes
from outboxctl.worker.claiming.claimer import ReclaimedTurns
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.health import problem_of

log = structlog.get_logger()
LOOK_INTERVAL = 5.0  # seconds between two looks for another primary
TRIES = 2  # pings in a round: behind a single URL there may be a load balancer, with several nodes
ONE, SEVERAL = 1.0, 1.4  # seconds of patience: of several nodes one may be silent until another is asked

# Asks the sink: None if it answers and the index of search_index is there, else what is wrong.
Ping = Callable[[], Classification | None]


class Probes:
    """`check_database` and `check_sink` are called again and again, each by a thread of its own.

    `lag` returns how many events of search_index are not done, None before they were counted.
    """

    def __init__(
        self,
        context: WorkerContext,
        ping: Ping,
        reclaimed: ReclaimedTurns,
        flow: FlowControl,
        lag: Callable[[], int | None],
    ) -> None:
        s = context.settings
        several = len(s.sink_urls) > 1 or s.sink_nodes is SinkNodes.DISCOVERED
        self._context, self._health, self._ping = context, context.health, ping
        self._patience = SEVERAL if several else ONE
        self._reclaimed, self._flow, self._lag = reclaimed, flow, lag
        self._next_look = 0.0
        self._kept, self._declared = in_force.Kept(), list[Projection]()
        self._names: list[str] = []
        self.sink_checked = Event()  # at least once

    def check_database(self) -> None:
        """Report whether the database takes writes; also where nothing else notices that it is silent."""
        database, health = self._context.database, self._health
        if monotonic() >= self._next_look:  # of several servers use the newest primary
            for move in database.look():
                log.warning(
                    "the worker left a PostgreSQL server: another one is the primary",
                    left=str(move.left),
                    now=str(move.now),
                )
            self._next_look = monotonic() + LOOK_INTERVAL
        try:
            with health.waiting_for("database"), database.begin() as connection:
                writable = snapshot.writable(connection)
                if snapshot.anything_reclaimed(connection, closed=self._flow.closed()):
                    self._reclaimed.expect()
                declared = in_force.declared(connection, self._kept)
        except OutboxctlError as error:
            self._context.reporter.failed(error, observer="probe")
            return
        health.report("database", None if writable else "the server is read-only")
        if declared is not self._declared:
            for projection in declared:
                self._context.metrics.declare(projection.name)
            self._declared = declared
            self._names = [projection.name for projection in declared]
        self._flow.declare(self._names)

    def check_sink(self) -> None:
        """Report whether the sink answers, its index exists, and it takes events."""
        health, flow = self._health, self._flow
        with health.waiting_for("sink", patience=self._patience), self._context.untraced():
            finding = ask(self._ping, self._patience)
        flow.probed(finding)
        missing = finding is not None and finding.reason is Reason.INDEX_UNAVAILABLE
        others_go_on, lag, waits = missing and bool(flow.declared), self._lag(), ""
        if others_go_on:
            waits = "; events of search_index wait until then"
        elif flow.missing:
            waits = "; nothing is claimed until then"
        if not others_go_on or lag is not None:  # once the events of search_index have been counted
            problem = problem_of(finding, end=waits) if finding and (lag or not others_go_on) else None
            health.report("sink", problem)
        health.report("sink", flow.standstill(), observer="deliveries")
        self.sink_checked.set()


def ask(ping: Ping, patience: float) -> Classification | None:
    """None if any node answers and the index exists, else what is wrong: the client asks them all."""
    began = monotonic()
    for _ in range(TRIES):
        finding = ping()
        if finding is None or finding.reason not in NO_ANSWER or monotonic() - began > patience:
            break
    return finding
