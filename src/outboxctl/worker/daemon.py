"""The daemon: lanes, maintenance and probes started together, and stopped in order."""

import gc
import os
import signal
import threading
from collections.abc import Callable
from time import monotonic
from types import FrameType

import structlog

from outboxctl.core import snapshot
from outboxctl.core.database import Database
from outboxctl.core.reclaim import reclaim
from outboxctl.errors import OutboxctlError
from outboxctl.failures import Finding, Reason
from outboxctl.lifecycle import op_label
from outboxctl.metrics.registry import Metrics
from outboxctl.metrics.server import Server
from outboxctl.settings import Settings
from outboxctl.sink.deliver import ElasticSink
from outboxctl.worker.health import Health
from outboxctl.worker.lane import Lane, Shared, release

log = structlog.get_logger()
LOOK_INTERVAL = 1.0  # seconds between looks at the gauges and at the sink


class Daemon:
    """One worker process. `probe` looks at the sink with a short timeout; `sink` delivers."""

    def __init__(self, settings: Settings, database: Database, sink: ElasticSink, probe: ElasticSink) -> None:
        self.metrics = Metrics()
        self.health = Health(settings.sla_oldest_age_seconds)
        self.shared = Shared(settings, database, sink, self.metrics, self.health)
        self._settings, self._database, self._probe = settings, database, probe
        self._lanes: list[threading.Thread] = []
        self._next_reclaim = 0.0

    def run(self, *, drain: bool) -> None:
        """Work until a signal or, with `drain`, until nothing is due. Raises UsageError on a busy port."""
        s = self._settings
        server = Server(
            s.metrics_host, s.metrics_port, self.metrics, alive=self._alive, ready=self.health.failing
        )
        with self._database.begin() as connection:  # a missing schema or database ends it here
            self._set_gauges(snapshot.gauges(connection, max_processing=s.max_processing_seconds))
        self._handle_signals()
        _calm_the_collector()
        server.start()
        log.info(
            "worker started", worker=s.worker_id, lanes=s.concurrency, batch=s.bulk_size, port=s.metrics_port
        )
        maintenance = [self._every(self._maintain, "maintenance"), self._every(self._look_at_sink, "probe")]
        self._work(drain=drain)
        self._shut_down()
        self.shared.stopping.set()
        for thread in maintenance:
            thread.join(timeout=LOOK_INTERVAL)
        server.stop()
        if self.shared.error:
            raise self.shared.error

    def _work(self, *, drain: bool) -> None:
        """Run lanes until told to stop; with `drain` also once nothing is due any more."""
        while not self.shared.stopping.is_set():
            if drain:
                self._reclaim()
            self._lanes = [self._lane(n, drain=drain) for n in range(self._settings.concurrency)]
            while any(lane.is_alive() for lane in self._lanes) and not self.shared.stopping.is_set():
                self.shared.stopping.wait(0.05 if drain else LOOK_INTERVAL)
            if drain and (self.shared.error or not self._due()):
                return

    def _shut_down(self) -> None:
        """Let what is in flight end within the grace; give back the rest."""
        self.health.drain()
        end = monotonic() + self._settings.shutdown_grace_seconds
        for lane in self._lanes:
            lane.join(timeout=max(0.0, end - monotonic()))
        try:
            released = release(self.shared, self.shared.held | self.shared.lost)
        except OutboxctlError as error:
            log.warning("could not release; the lease will", problem=str(error))
        else:
            log.info("worker stopped", released=released)

    def _handle_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.shared.stopping.is_set():
            os._exit(128 + number)  # asked twice: leave everything to the leases
        self.shared.stopping.set()

    def _lane(self, number: int, *, drain: bool) -> threading.Thread:
        lane = Lane(self.shared, drain=drain)
        thread = threading.Thread(target=lane.run, name=f"lane-{number}", daemon=True)
        thread.start()
        return thread

    def _every(self, action: Callable[[], None], name: str) -> threading.Thread:
        def loop() -> None:
            while True:
                started = monotonic()
                action()
                # An action that takes long (a million pending rows to count) runs more rarely.
                if self.shared.stopping.wait(max(LOOK_INTERVAL, 10 * (monotonic() - started))):
                    return

        thread = threading.Thread(target=loop, name=name, daemon=True)
        thread.start()
        return thread

    def _maintain(self) -> None:
        try:
            self._release_lost()
            if monotonic() >= self._next_reclaim:
                self._reclaim()
                self._next_reclaim = monotonic() + self._settings.reclaim_interval_seconds
            with self._database.begin() as connection:
                writable = snapshot.writable(connection)
                now = snapshot.gauges(connection, max_processing=self._settings.max_processing_seconds)
                due = snapshot.anything_due(connection)
        except OutboxctlError as error:
            self.health.report("database", str(error))
            return
        self._set_gauges(now)
        self.health.report("database", None if writable else "the server is read-only")
        self.health.progress(due=due)

    def _release_lost(self) -> None:
        lost = set(self.shared.lost)
        release(self.shared, lost)
        self.shared.lost -= lost

    def _reclaim(self) -> None:
        s = self._settings
        with self._database.begin() as connection:
            found = reclaim(connection, max_processing=s.max_processing_seconds, max_attempts=s.max_attempts)
        if found.total:
            log.warning(
                f"Reclaimed {found.total} stuck outbox events (expired lease or max processing exceeded)",
                failed=len(found.failed_ops),
            )
            self.metrics.count("reclaimed", found.total)
        for op in found.failed_ops:
            self.metrics.not_done("terminal", op_label(op), Reason.LEASE_EXPIRED, 1)

    def _look_at_sink(self) -> None:
        finding = self._probe.ping()
        self.health.report("sink", _describe(finding) if finding else None)

    def _set_gauges(self, now: snapshot.Gauges) -> None:
        self.metrics.set("lag", now.lag)
        self.metrics.set("stuck", now.stuck)
        self.metrics.set("oldest_age", now.oldest_age_seconds)

    def _due(self) -> bool:
        with self._database.begin() as connection:
            return snapshot.anything_due(connection)

    def _alive(self) -> dict[str, str]:
        """Whatever the dependencies do, every lane must still be turning."""
        dead = [lane.name for lane in self._lanes if not lane.is_alive()]
        return {"lanes": ", ".join(dead)} if dead and not self.shared.stopping.is_set() else {}


def _calm_the_collector() -> None:
    """Keep the garbage collector from walking all loaded modules again for every batch.

    A batch makes thousands of short-lived objects and no cycles; with the default thresholds their
    number alone starts full collections, a third of the CPU an event (docs/adr/0005-cheap-worker.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _describe(finding: Finding) -> str:
    return f"{finding.reason}: {finding.error}"
