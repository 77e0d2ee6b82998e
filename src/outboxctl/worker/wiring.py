"""The parts of one worker: each is made here, once, from the context and the parts that it calls."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from outboxctl.core.database import Database
from outboxctl.domain.projection import Projection
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import Settings
from outboxctl.sink.delivery.result import IndexedSink, Sink
from outboxctl.worker.claiming.claimer import Claimer, ReclaimedTurns
from outboxctl.worker.claiming.claims import Claims
from outboxctl.worker.claiming.drained import Drained
from outboxctl.worker.claiming.leases import InFlight, Postponed
from outboxctl.worker.context import WorkerContext
from outboxctl.worker.flow.control import FlowControl
from outboxctl.worker.health import Health
from outboxctl.worker.lane.delivering import Delivering
from outboxctl.worker.lane.lane import Lane
from outboxctl.worker.projections.expanding import Expander
from outboxctl.worker.projections.reading import Declared
from outboxctl.worker.reports import DatabaseReporter, Progress, ProgressLog
from outboxctl.worker.signals import Signals
from outboxctl.worker.upkeep.deletes import DeleteRepeater
from outboxctl.worker.upkeep.heartbeat import Heartbeat, Renewal
from outboxctl.worker.upkeep.listener import Listener
from outboxctl.worker.upkeep.maintenance import Maintenance
from outboxctl.worker.upkeep.probes import Ping, Probes

if TYPE_CHECKING:
    from outboxctl.worker.tracing import Tracing

INTERVAL = 0.5  # seconds between two turns of a helper
AFTER_NEWS = 0.05  # seconds at least, also while there is news all the time


class Helper(NamedTuple):
    """A thread beside the lanes: calls `turn` after each `wait`, which returns whether to end."""

    name: str
    turn: Callable[[], None]
    wait: Callable[[], bool]


class WorkerParts:
    """The parts of one worker, wired together; owned by the daemon.

    `sink` delivers search_index, `sink_of` returns the sink of a declared projection; `ping` asks the sink
    with a short timeout. No part is given this object. The class of each part says which thread may call
    what.
    """

    CLAIMS: type[Claims] = Claims  # a benchmark puts classes with a clock in their place
    LANE: type[Lane] = Lane

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sink: Sink,
        *,
        sink_of: Callable[[Projection], IndexedSink],
        ping: Ping,
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
        declared = Declared(database, metrics)
        flow = self.flow = FlowControl(context)
        reclaimed = self.reclaimed = ReclaimedTurns()
        self._delivering = Delivering(context, flow, declared, sink, sink_of)
        self.expander = Expander(context, declared, sink_of, flow.together)
        self.deletes = DeleteRepeater(context, declared, self._delivering, flow)
        self.claims = self.CLAIMS(context)
        drained = Drained(context, flow)
        self.claimer = Claimer(
            context, self.claims, flow, reclaimed, drained, expanding=lambda: self.expander.expanding
        )
        self.heartbeat = Heartbeat(context, flow)
        self.maintenance = Maintenance(context, self.heartbeat, reclaimed, flow, self.expander)
        self.probes = Probes(context, ping, reclaimed, flow, lag=lambda: self.maintenance.own_lag)
        self._renewal, self._listener = Renewal(context), Listener(context)
        self._progress_log = ProgressLog(metrics, health)

    def lane(self, *, drain: bool) -> Lane:
        """A new lane, for a thread of its own."""
        return self.LANE(self.context, self.claimer, self._delivering, self.flow, drain=drain)

    def helpers(self, *, drain: bool) -> list[Helper]:
        """What runs beside the lanes, in the order of its start; the lanes wait for a turn of the first."""
        often = partial(self.context.signals.wait_for_stop, INTERVAL)
        expand = partial(self.expander.turn, always=drain)
        found = [
            Helper("sink-probe", self.probes.check_sink, often),
            Helper("maintenance", self.maintenance.turn, often),
            Helper("database-probe", self.probes.check_database, often),
            Helper("progress-log", self._progress_log.turn, often),
            Helper("lease-renewal", self._renewal.turn, self._renewal.wait),
            Helper("expander", partial(expand, slow=False), _until_news(self.context.signals)),
            Helper("expander-slow", partial(expand, slow=True), often),
        ]
        if not drain:  # it waits for no new events, and sends deletes again once none is left
            found += [
                Helper("listener", self._listener.turn, often),
                Helper("deletes", self.deletes.turn, often),
            ]
        return found


def _until_news(signals: Signals) -> Callable[[], bool]:
    """A wait until soon after news of events, of INTERVAL at most."""
    news = 0

    def wait() -> bool:
        nonlocal news
        if not signals.wait_for_stop(AFTER_NEWS):
            signals.wait_for_news(news, INTERVAL - AFTER_NEWS)
            news = signals.news
        return signals.stopping

    return wait
