"""The daemon: lanes, maintenance and probes started together, and stopped in order."""

import gc
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

import structlog

from outboxctl.core.database import Database
from outboxctl.core.delivery.traces import traces
from outboxctl.core.stats import snapshot
from outboxctl.domain import backoff
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.domain.printable import brief
from outboxctl.metrics.registry import Metrics
from outboxctl.metrics.server import MetricsServer
from outboxctl.settings import OutagePolicy, Settings
from outboxctl.sink.delivery.result import Probe, Sink
from outboxctl.worker.health import Health
from outboxctl.worker.heartbeat import Heartbeat
from outboxctl.worker.lane import Lane
from outboxctl.worker.listener import Listener
from outboxctl.worker.maintenance import Maintenance
from outboxctl.worker.notify import notify
from outboxctl.worker.progress_log import ProgressLog
from outboxctl.worker.shared import Shared
from outboxctl.worker.stopping import stop
from outboxctl.worker.tracing import Tracing

log = structlog.get_logger()
LOOK_INTERVAL = 0.5  # seconds between two rounds of maintenance, and two looks at the sink
WATCHDOG_INTERVAL = 1.0  # seconds between two signs of life for systemd: WatchdogSec must be several of these
TICK = 0.05  # seconds until those who wait are woken by a signal; no claim is begun meanwhile
FIRST_LOOK = 2.0  # seconds that the first look at the sink may take before the lanes start without it


class Daemon:
    """One worker process. `probe` looks at the sink with a short timeout; `sink` delivers."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sink: Sink,
        probe: Probe,
        tracing: Tracing | None = None,
    ) -> None:
        self.metrics = Metrics()
        self.health = Health(settings.sla_oldest_age_seconds, put_off=self.metrics.put_off)
        self.shared = Shared(settings, database, sink, self.metrics, self.health, tracing=tracing)
        self._settings, self._database = settings, database
        self._heartbeat = Heartbeat(self.shared)
        self._maintenance = Maintenance(self.shared, probe, self._heartbeat)
        self._lanes: list[threading.Thread] = []
        self._helpers: list[threading.Thread] = []
        self._signals = 0
        self._next_watchdog = 0.0
        self._drain = False

    def run(self, *, drain: bool) -> None:
        """Work until a signal or, with `drain`, until nothing is due.

        A drain goes on without its HTTP server where the port is busy: a daemon may have it.
        Raises UsageError on a busy port or a missing schema, OutboxctlError if events are left in its hands.
        """
        s, self._drain = self._settings, drain
        server = self._server()
        due = self._due()  # a missing schema or database ends it here
        self._look_at_traces()
        self._maintenance.look_at_database()
        self._handle_signals()
        _calm_the_collector()
        if server:
            server.start()
        # No claim needs the client of the sink, which takes long to load: a drain of nothing goes without.
        looks_first = due or not drain
        sink_probe = self._every(self._maintenance.look_at_sink, "sink-probe", at_once=looks_first)
        if looks_first:
            self._await_first_look()
        log.info(
            "worker started",
            worker=s.worker_id,
            lanes=s.concurrency,
            batch=s.bulk_size,
            **(addresses(s.metrics_host, s.metrics_port) if server else {}),
        )
        if s.outage_policy is OutagePolicy.COUNT:
            outage = backoff.survives(s.max_attempts, base=s.base_backoff_seconds, cap=s.max_backoff_seconds)
            log.info(f"an outage of the sink fails events after {outage:.1f} s at the earliest")
        self._helpers = [
            self._every(self._maintenance.turn, "maintenance"),
            self._every(self._maintenance.look_at_database, "database-probe"),
            sink_probe,
            self._every(ProgressLog(self.metrics, self.health).turn, "progress-log"),
        ]
        if not drain:  # which waits for nothing
            self._helpers.append(self._every(Listener(self.shared).turn, "listener"))
        notify("READY=1")
        self._work()
        notify("STOPPING=1", "STATUS=finishing what is in flight")
        stopped = stop(self.shared, self._lanes, s.shutdown_grace_seconds, leave=self._heartbeat.leave)
        if server:
            server.stop()
        self.shared.tracing.stop()
        if self.shared.error:
            raise self.shared.error
        if not stopped:
            raise OutboxctlError(
                "stopped with events in hand", hint="they come back once their lease is over"
            )

    def _server(self) -> MetricsServer | None:
        s = self._settings
        try:
            return MetricsServer(
                s.metrics_host,
                s.metrics_port,
                self.metrics,
                alive=self._alive,
                ready=self.health.failing,
                last_success=self.health.last_success_seconds,
                names=s.probe_names,
            )
        except UsageError as error:
            if not self._drain:
                raise
            log.warning("draining without /metrics, /healthz and /readyz", problem=str(error))
            return None

    def _await_first_look(self) -> None:
        """Nothing is claimed before it is known whether the index is there, or that the sink is silent."""
        end = monotonic() + FIRST_LOOK
        while not (self._signals or monotonic() > end):
            if self._maintenance.looked_at_sink.wait(TICK):
                return

    def _work(self) -> None:
        """Run lanes until told to stop; with drain also once nothing is due any more."""
        told = self.shared.stopping.is_set
        while not told():
            if self._drain:
                self._maintenance.reclaim()
            self._lanes = [self._lane(n) for n in range(self._settings.concurrency)]
            while (alive := [lane for lane in self._lanes if lane.is_alive()]) and not told():
                self._watchdog()
                alive[0].join(TICK)
            if self._drain and (self.shared.error or not self._due()):
                return

    def _watchdog(self) -> None:
        if monotonic() >= self._next_watchdog and not self._alive():
            notify("WATCHDOG=1", f"STATUS={self._status()}")
            self._next_watchdog = monotonic() + WATCHDOG_INTERVAL

    def _status(self) -> str:
        """What `systemctl status` shows: one line, for a line end would begin another message."""
        failing = "; ".join(f"{name}: {why}" for name, why in self.health.failing().items())
        return brief(failing or "ready", 200)

    def _handle_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + number)  # asked twice: leave everything to the leases
        self.shared.stopping.request()  # lanes look at it before each claim; no lock is taken here

    def _lane(self, number: int) -> threading.Thread:
        lane = Lane(self.shared, drain=self._drain)
        thread = threading.Thread(target=lane.run, name=f"lane-{number}", daemon=True)
        thread.start()
        return thread

    def _every(self, action: Callable[[], None], name: str, *, at_once: bool = False) -> threading.Thread:
        def loop() -> None:
            pause = 0.0 if at_once else LOOK_INTERVAL
            while not self.shared.stopping.wait(pause):
                pause = LOOK_INTERVAL
                try:
                    action()
                except Exception as error:
                    log.error("unexpected error", thread=name, error=f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=loop, name=name, daemon=True)
        thread.start()
        return thread

    def _due(self) -> bool:
        with self._database.begin() as connection:
            return snapshot.anything_due(connection)

    def _look_at_traces(self) -> None:
        """An older schema has none. Without tracing it will do, so that either can be upgraded first."""
        if self.shared.tracing.on:
            with self._database.begin() as connection:
                traces(connection, [])

    def _alive(self) -> dict[str, str]:
        """Whatever the dependencies do, every thread must still be turning."""
        watched = self._helpers if self._drain else [*self._lanes, *self._helpers]  # a drained lane has ended
        dead = [thread.name for thread in watched if not thread.is_alive()]
        return {"threads": ", ".join(dead)} if dead and not self.shared.stopping.is_set() else {}


def addresses(host: str, port: int) -> dict[str, str]:
    """Where the worker answers, as URLs that open on this machine: every address includes 127.0.0.1."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    host = f"[{host}]" if ":" in host else host
    return {name: f"http://{host}:{port}/{name}" for name in ("metrics", "healthz", "readyz")}


def _calm_the_collector() -> None:
    """Keep the garbage collector from walking all loaded modules again for every batch.

    A batch makes thousands of short-lived objects and no cycles; with the default thresholds their
    number alone starts full collections, a third of the CPU an event (docs/adr/0005-cheap-worker.md).
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    gc.enable()
