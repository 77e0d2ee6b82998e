"""What all parts of a worker use."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from outboxctl.core.database import Database
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import Settings
from outboxctl.worker.claiming.leases import Batch, InFlight, Postponed
from outboxctl.worker.health import Health
from outboxctl.worker.reports import DatabaseReporter, Progress
from outboxctl.worker.signals import Signals

if TYPE_CHECKING:
    from outboxctl.worker.tracing import Tracing


@dataclass(frozen=True)
class WorkerContext:
    """What the threads of one worker share; made once, by `WorkerParts`.

    Any thread may use it: no field is replaced, and each object is thread-safe by itself, as its class says.
    What only some threads may call (claimer, flow, turns) is passed to their parts by name.
    """

    settings: Settings
    database: Database
    metrics: Metrics
    health: Health
    tracing: "Tracing | None"
    signals: Signals
    in_flight: InFlight
    reporter: DatabaseReporter
    progress: Progress
    postponed: Postponed

    def of(self, projection: str) -> "WorkerContext":
        """The same, whose metrics count for this projection; search_index has an empty name."""
        return replace(self, metrics=self.metrics.of(projection)) if projection else self

    def traced(self, batch: Batch) -> AbstractContextManager[object]:
        """The span of a batch, where there are any."""
        return self.tracing.batch(batch) if self.tracing else nullcontext()

    def untraced(self) -> AbstractContextManager[object]:
        """Around requests that are not worth a span: a probe of the sink each half second."""
        return self.tracing.untraced() if self.tracing else nullcontext()
