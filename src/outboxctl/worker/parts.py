"""The parts of one worker: each is made here, once, and is given only the parts that it uses."""

from outboxctl.core.database import Database
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import Settings
from outboxctl.sink.delivery.result import Probe, Sink
from outboxctl.worker.admission import Admission, StartGate
from outboxctl.worker.batch_sizer import BatchSizer
from outboxctl.worker.circuit import Circuit
from outboxctl.worker.claimer import Claimer
from outboxctl.worker.claims import Claims
from outboxctl.worker.database_reporter import DatabaseReporter
from outboxctl.worker.delivering import Deliverer, Renewal
from outboxctl.worker.health import Health
from outboxctl.worker.heartbeat import Heartbeat
from outboxctl.worker.in_flight import InFlight
from outboxctl.worker.lane import Lane
from outboxctl.worker.listener import Listener
from outboxctl.worker.maintenance import Maintenance
from outboxctl.worker.postponed_outcomes import Postponed
from outboxctl.worker.progress_log import Progress, Repeats
from outboxctl.worker.reclaimed_turns import ReclaimedTurns
from outboxctl.worker.settling import SettleTools
from outboxctl.worker.signals import Signals
from outboxctl.worker.stopping import Stopping
from outboxctl.worker.throttle import Throttle
from outboxctl.worker.tracing import Tracing


class WorkerParts:
    """What the threads of one worker share, wired together; owned by the daemon.

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
        tracing: Tracing | None = None,
    ) -> None:
        s = self.settings = settings
        self.database, self.metrics, self.health = database, metrics, health
        self.tracing = tracing or Tracing()
        self.signals = Signals()
        self.progress = Progress(health, self.signals)
        self.in_flight = InFlight(self.signals, lease_seconds=s.lease_seconds)
        self.reporter = DatabaseReporter(database, health)
        self.postponed = Postponed(s.lease_seconds)
        self.reclaimed = ReclaimedTurns()
        self.start_gate = StartGate()
        self.throttle = Throttle(s.bulk_size * s.concurrency)
        self.circuit = Circuit(s, self.throttle, health, metrics)
        self._batch_sizer = BatchSizer(s.bulk_size, s.max_batch_bytes)
        self._admission = Admission(
            self.start_gate,
            self._batch_sizer,
            self.throttle,
            self.circuit.breaker,
            self.in_flight,
            lanes=s.concurrency,
        )
        self._deliverer = Deliverer(
            s,
            sink,
            admission=self._admission,
            circuit=self.circuit,
            metrics=metrics,
            tracing=self.tracing,
        )
        self.settle_tools = SettleTools(
            database, self.reporter, metrics, Repeats(), self.progress, self.postponed, self.signals
        )
        self.claims = self.CLAIMS(
            s,
            database,
            reporter=self.reporter,
            batch_sizer=self._batch_sizer,
            in_flight=self.in_flight,
            signals=self.signals,
            tracing=self.tracing,
        )
        self.claimer = Claimer(
            s,
            database,
            claims=self.claims,
            admission=self._admission,
            start_gate=self.start_gate,
            circuit=self.circuit,
            in_flight=self.in_flight,
            reclaimed=self.reclaimed,
            signals=self.signals,
        )
        self.circuit.show_limits()

    def lane(self, *, drain: bool) -> Lane:
        """A new lane, for a thread of its own."""
        return self.LANE(
            self.settings,
            claimer=self.claimer,
            deliverer=self._deliverer,
            settle_tools=self.settle_tools,
            circuit=self.circuit,
            in_flight=self.in_flight,
            tracing=self.tracing,
            drain=drain,
        )

    def heartbeat(self) -> Heartbeat:
        """The heartbeat of this process."""
        return Heartbeat(
            self.settings,
            self.database,
            signals=self.signals,
            progress=self.progress,
            in_flight=self.in_flight,
            circuit=self.circuit,
            health=self.health,
        )

    def listener(self) -> Listener:
        """What listens for new events."""
        return Listener(self.settings, self.database, self.signals, self.metrics)

    def renewal(self) -> Renewal:
        """What renews leases."""
        return Renewal(self.settings, self.database, self.reporter, self.in_flight)

    def maintenance(self, probe: Probe, heartbeat: Heartbeat) -> Maintenance:
        """What frees stuck events and looks at both ends."""
        return Maintenance(
            self.settings,
            self.database,
            probe=probe,
            heartbeat=heartbeat,
            health=self.health,
            reporter=self.reporter,
            metrics=self.metrics,
            in_flight=self.in_flight,
            postponed=self.postponed,
            reclaimed=self.reclaimed,
            start_gate=self.start_gate,
            tracing=self.tracing,
        )

    def stopping(self) -> Stopping:
        """What stops the lanes in order."""
        return Stopping(
            self.database, self.signals, self.health, self.in_flight, self.postponed, self.progress
        )
