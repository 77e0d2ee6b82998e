"""The parts of one worker: each is made here, once, from the context and the parts that it calls."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from outboxctl.core.database import Database
from outboxctl.domain.projection import Projection
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import Settings
from outboxctl.sink.delivery.result import IndexedSink, Sink
from outboxctl.worker.claiming.claimer import Claimer, ReclaimedTurns
from outboxctl.worker.claiming.claims import Claims
from outboxctl.worker.claiming.leases import InFlight, Postponed
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.health import Health
from outboxctl.worker.lane.delivering import Delivering
from outboxctl.worker.lane.lane import Lane
from outboxctl.worker.projections.expanding import Expander
from outboxctl.worker.projections.reading import Declared
from outboxctl.worker.reports import DatabaseReporter, Progress
from outboxctl.worker.signals import Signals
from outboxctl.worker.upkeep.deletes import DeletesAgain

if TYPE_CHECKING:
    from outboxctl.worker.tracing import Tracing


class WorkerParts:
    """The parts of one worker, wired together; owned by the daemon.

    No part is given this object. The class of each part says which thread may call what.
    """

    CLAIMS: type[Claims] = Claims  # a benchmark puts classes with a clock in their place
    LANE: type[Lane] = Lane

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sink: Sink,
        *,
        sink_of: Callable[[Projection], IndexedSink] | None = None,
        tracing: "Tracing | None" = None,
    ) -> None:
        s, signals, metrics = settings, Signals(), Metrics()
        health = Health(s.sla_oldest_age_seconds)
        context = self.context = WorkerContext(
            s,
            database,
            metrics,
            health,
            tracing,
            signals,
            InFlight(signals, lease_seconds=s.lease_seconds),
            DatabaseReporter(database, health),
            Progress(health, signals),
            Postponed(s.lease_seconds),
        )
        sink_of, declared = sink_of or _no_sink, Declared(database, metrics)
        self.reclaimed, self.flow = ReclaimedTurns(), FlowControl(context)
        self._delivering = Delivering(context, self.flow, declared, sink, sink_of)
        self.expander = Expander(context, declared, sink_of, self.flow.together)
        self.deletes = DeletesAgain(context, sink, declared, sink_of, self.flow)
        self.claims = self.CLAIMS(context)
        self.claimer = Claimer(
            context, self.claims, self.flow, self.reclaimed, expanding=lambda: self.expander.expanding
        )

    def lane(self, *, drain: bool) -> Lane:
        """A new lane, for a thread of its own."""
        return self.LANE(self.context, self.claimer, self._delivering, self.flow, drain=drain)


def _no_sink(projection: Projection) -> IndexedSink:
    raise LookupError(f"this worker has no sink for {projection.name}")
