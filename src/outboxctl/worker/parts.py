"""The parts of one worker: each is made here, once, from the context and the parts that it calls."""

from collections.abc import Callable

from outboxctl.core.database import Database
from outboxctl.domain.projection import Projection
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import Settings
from outboxctl.sink.delivery.result import IndexedSink, Probe, Sink
from outboxctl.worker.admission import Admission, StartGate
from outboxctl.worker.batch_sizer import BatchSizer
from outboxctl.worker.circuit import Circuit
from outboxctl.worker.claimer import Claimer, ReclaimedTurns
from outboxctl.worker.claims import Claims
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.database_reporter import DatabaseReporter
from outboxctl.worker.declared import Declared
from outboxctl.worker.deleting_again import DeletesAgain
from outboxctl.worker.delivering import Deliverer
from outboxctl.worker.expanding import Expander
from outboxctl.worker.health import Health
from outboxctl.worker.heartbeat import Heartbeat
from outboxctl.worker.in_flight import InFlight
from outboxctl.worker.lane import Lane
from outboxctl.worker.maintenance import Maintenance
from outboxctl.worker.postponed_outcomes import Postponed
from outboxctl.worker.progress_log import Progress
from outboxctl.worker.projecting import Projecting
from outboxctl.worker.signals import Signals
from outboxctl.worker.throttle import Throttle
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
        metrics: Metrics,
        health: Health,
        *,
        sink_of: Callable[[Projection], IndexedSink] | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        s, signals = settings, Signals()
        context = self.context = WorkerContext(
            s,
            database,
            metrics,
            health,
            tracing or Tracing(),
            signals,
            InFlight(signals, lease_seconds=s.lease_seconds),
            DatabaseReporter(database, health),
            Progress(health, signals),
            Postponed(s.lease_seconds),
        )
        self.reclaimed, self.start_gate = ReclaimedTurns(), StartGate()
        throttle = Throttle(s.bulk_size * s.concurrency)
        batch_sizer = BatchSizer(s.bulk_size, s.max_batch_bytes)
        self.circuit = Circuit(context, throttle)
        admission = Admission(
            self.start_gate, batch_sizer, throttle, self.circuit.breaker, context.in_flight, s.concurrency
        )
        self._deliverer = Deliverer(context, sink, admission, self.circuit, index=s.elastic_index)
        declared = Declared(context.database, metrics)
        self._projecting = Projecting(context, admission, self.circuit, declared, sink_of or _no_sink)
        self.expander = Expander(context, declared, sink_of or _no_sink)
        self.deletes = DeletesAgain(context, sink, declared, sink_of or _no_sink, self.circuit)
        self.claims = self.CLAIMS(context, batch_sizer)
        self.claimer = Claimer(
            context,
            self.claims,
            admission,
            self.circuit,
            self.reclaimed,
            expanding=lambda: self.expander.expanding,
        )
        self.circuit.show_limits()

    def lane(self, *, drain: bool) -> Lane:
        """A new lane, for a thread of its own."""
        return self.LANE(
            self.context,
            self.claimer,
            self._deliverer,
            self._projecting,
            self.circuit,
            start_gate=self.start_gate,
            drain=drain,
        )

    def heartbeat(self) -> Heartbeat:
        """The heartbeat of this process."""
        return Heartbeat(self.context, self.circuit)

    def maintenance(self, probe: Probe, heartbeat: Heartbeat) -> Maintenance:
        """What frees stuck events, and examines the database and the sink."""
        return Maintenance(self.context, probe, heartbeat, self.reclaimed, self.start_gate)


def _no_sink(projection: Projection) -> IndexedSink:
    raise LookupError(f"this worker has no sink for {projection.name}")
