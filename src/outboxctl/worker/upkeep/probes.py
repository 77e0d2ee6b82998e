"""The probes of both ends: whether the database takes writes, and the sink and its indexes are there."""

from collections.abc import Callable, Sequence
from threading import Event

import structlog

from outboxctl.core.projections import in_force
from outboxctl.core.stats import snapshot
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, RefusedError, UnreachableError
from outboxctl.domain.failures import NO_ANSWER, Classification, Reason
from outboxctl.domain.projection import Projection
from outboxctl.settings.kinds import SinkNodes
from outboxctl.sink.delivery.result import Probe
from outboxctl.worker.claiming.claimer import ReclaimedTurns
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.health import problem_of

log = structlog.get_logger()
LOOK_INTERVAL = 5.0  # seconds between two looks for another primary
TRIES = 2  # pings in a round: behind a single URL there may be a load balancer, with several nodes
REFUSED = 60.0  # seconds until the health is asked for again where that is refused
EVERY = 1.0  # seconds between two looks at the health of healthy indexes
ONSET = (
    3.0  # seconds until a healthy index counts as unhealthy: an election and a restart of a copy are shorter
)
ONE, SEVERAL = 1.0, 1.4  # seconds of patience: of several nodes one may be silent until another is asked


class Probes:
    """`check_database` and `check_sink` are called again and again, each by a thread of its own.

    `lag` returns how many events of search_index are not done, None before they were counted.
    """

    def __init__(
        self,
        context: WorkerContext,
        probe: Probe,
        reclaimed: ReclaimedTurns,
        flow: FlowControl,
        lag: Callable[[], int | None],
    ) -> None:
        s = context.settings
        several = len(s.sink_urls) > 1 or s.sink_nodes is SinkNodes.DISCOVERED
        self._context, self._health, self._probe = context, context.health, SinkProbe(probe, several=several)
        self._reclaimed, self._flow, self._lag = reclaimed, flow, lag
        self._next_look = 0.0
        self._kept, self._declared = in_force.Kept(), list[Projection]()
        self._indexes: list[str] = []  # of the projections in force
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
                    self._reclaimed.may_exist = True
                declared = in_force.declared(connection, self._kept)
        except OutboxctlError as error:
            self._context.reporter.failed(error, observer="probe")
            return
        health.report("database", None if writable else "the server is read-only")
        if declared is not self._declared:
            for projection in declared:
                self._context.metrics.declare(projection.name)
            self._declared = declared
            self._indexes = [projection.everywhere for projection in declared]
            self._names = [projection.name for projection in declared]
        self._flow.declare(self._names)

    def check_sink(self) -> None:
        """Report whether the sink answers, its index exists, and what is written to takes events."""
        health, flow = self._health, self._flow
        patience = self._probe.patience
        with health.waiting_for("sink", patience=patience), self._context.tracing.untraced():
            finding = self._probe.ask()
            unhealthy = self._probe.health(self._written(finding))
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
        health.report("sink", problem_of(unhealthy) if unhealthy else None, observer="indexes")
        health.report("sink", flow.standstill(), observer="deliveries")
        self.sink_checked.set()

    def _written(self, finding: Classification | None) -> list[str]:
        """The indexes that this worker writes to and that can be there; none of a sink that is away."""
        if finding is None:
            return [self._context.settings.elastic_index, *self._indexes]
        return self._indexes if finding.reason is Reason.INDEX_UNAVAILABLE else []


class SinkProbe:
    """Asks by a `probe`, whose sink has one node or `several`; one thread uses it."""

    def __init__(self, probe: Probe, *, several: bool) -> None:
        self._probe = probe
        self.patience = SEVERAL if several else ONE
        self._next_health = 0.0
        self._problem: Classification | None = None
        self._healthy_at = float("-inf")

    def ask(self) -> Classification | None:
        """None if any node answers and the index exists, else what is wrong: the client asks them all."""
        began = monotonic()
        for _ in range(TRIES):
            finding = self._probe.ping()
            if finding is None or finding.reason not in NO_ANSWER or monotonic() - began > self.patience:
                break
        return finding

    def health(self, names: Sequence[str]) -> Classification | None:
        """What is wrong with the health of these indexes, once that has lasted.

        None also where the sink may not be asked.
        """
        if not names:
            return None
        if monotonic() >= self._next_health:
            self._look(names)
        return self._problem if monotonic() - self._healthy_at >= ONSET else None

    def _look(self, names: Sequence[str]) -> None:
        try:
            self._problem = self._probe.health(names)
        except RefusedError:  # the right is lacking, or this engine has no such request
            self._problem, self._next_health = None, monotonic() + REFUSED
        except UnreachableError:
            return  # the next ping says whether the sink is away
        else:
            self._next_health = 0.0 if self._problem else monotonic() + EVERY
        if self._problem is None:
            self._healthy_at = monotonic()
