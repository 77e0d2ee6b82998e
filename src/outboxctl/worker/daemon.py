"""The daemon: starts the threads of a worker, and stops them in order."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

import structlog

from outboxctl.core.stats import snapshot
from outboxctl.domain import backoff
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.domain.printable import brief
from outboxctl.metrics.server import MetricsServer
from outboxctl.settings import OutagePolicy
from outboxctl.worker.lane.lane import Lane
from outboxctl.worker.process import addresses, notify, tune_collector
from outboxctl.worker.stopping import Stopping
from outboxctl.worker.wiring import Helper, WorkerParts

log = structlog.get_logger()
WATCHDOG_INTERVAL = 1.0  # seconds between two messages to systemd's watchdog: WatchdogSec must be several
# Seconds until waiting threads are woken after a signal: its handler may not wake them (`Signals`). No claim
# is begun meanwhile.
TICK = 0.05
ROUND = 0.1  # seconds after which a drain looks again where something is due and nothing could be claimed
OF_TABLE = " of search_index, where that is used, and none of declared projections:"
FIRST_PROBE = 2.0  # seconds that the first probe of the sink may take before the lanes start without it


class Daemon:
    """One worker process: the main thread calls `run`, once."""

    def __init__(self, parts: WorkerParts) -> None:
        self._parts, context = parts, parts.context
        self._settings, self._database = context.settings, context.database
        self.metrics, self.health, self.signals = context.metrics, context.health, context.signals
        self._lanes = list[Lane]()
        self._lane_threads: list[threading.Thread] = []
        self._helpers: list[threading.Thread] = []
        self._signal_count = 0
        self._next_watchdog = 0.0
        self._drain = False

    def run(self, *, drain: bool) -> None:
        """Work until a signal or, with `drain`, until nothing is due.

        A drain goes on without its HTTP server where the port is busy: a daemon may serve on it.
        Raises UsageError on a busy port or a missing schema, OutboxctlError if events are still claimed at
        the end.
        """
        self._drain = drain
        server = self._server()
        due = self._due()  # raises where the database or its schema is missing
        self._parts.probes.check_database()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        tune_collector()
        if server:
            server.start()
        # The client of the sink takes long to load: a drain with nothing due does not load it.
        probe_first = due or not drain
        sink_probe, *others = self._parts.helpers(drain=drain)
        self._helpers = [self._every(sink_probe, at_once=probe_first)]
        if probe_first:
            self._await_first_probe()
        self._say_started(serves=server is not None)
        self._helpers += [self._every(each) for each in others]
        notify("READY=1")
        self._work()
        notify("STOPPING=1", "STATUS=finishing what is in flight")
        stopped = Stopping(self._parts.context).run(
            self._lane_threads, self._settings.shutdown_grace_seconds, leave=self._parts.heartbeat.leave
        )
        if server:
            server.stop()
        if error := self._error():
            raise error
        if not stopped:
            raise OutboxctlError(
                "stopped with events in hand", hint="they come back once their lease is over"
            )

    def _say_started(self, *, serves: bool) -> None:
        s = self._settings
        log.info(
            "worker started",
            worker=s.worker_id,
            lanes=s.concurrency,
            batch=s.bulk_size,
            **(addresses(s.metrics_host, s.metrics_port) if serves else {}),
        )
        if s.outage_policy is OutagePolicy.COUNT:
            outage = backoff.survives(s.max_attempts, base=s.base_backoff_seconds, cap=s.max_backoff_seconds)
            log.info(
                f"an outage of the sink fails events{OF_TABLE * s.holds('declared')}"
                f" after {outage:.1f} s at the earliest (OUTBOX_OUTAGE_POLICY=count,"
                f" OUTBOX_MAX_ATTEMPTS={s.max_attempts}); with hold it fails none"
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
            )
        except UsageError as error:
            if not self._drain:
                raise
            log.warning("draining without /metrics, /healthz and /readyz", problem=str(error))
            return None

    def _await_first_probe(self) -> None:
        """Nothing is claimed before it is known whether the index exists, or that the sink is silent."""
        end = monotonic() + FIRST_PROBE
        while not (self.signals.stopping or monotonic() > end):
            if self._parts.probes.sink_checked.wait(TICK):
                return

    def _work(self) -> None:
        """Run lanes until a signal; with drain also once nothing is due any more."""
        while not self.signals.stopping:
            if self._drain:
                self._parts.maintenance.reclaim()
            self._lanes = [self._parts.lane(drain=self._drain) for _ in range(self._settings.concurrency)]
            self._lane_threads = [_start(lane.run, f"lane-{n}") for n, lane in enumerate(self._lanes)]
            while (alive := [t for t in self._lane_threads if t.is_alive()]) and not self.signals.stopping:
                self._watchdog()
                alive[0].join(TICK)
            if self._drain and (self._error() or not self._due()):
                self._parts.deletes.turn()
                return
            self.signals.wait_for_stop(ROUND)  # somebody has locked it, or it is about to be expanded

    def _error(self) -> Exception | None:
        """What ended a drain."""
        return next((lane.error for lane in self._lanes if lane.error), None)

    def _watchdog(self) -> None:
        if monotonic() >= self._next_watchdog and not self._alive():
            failing = "; ".join(f"{name}: {why}" for name, why in self.health.failing().items())
            status = brief(failing or "ready", 200)  # one line: a line end would begin another message
            notify("WATCHDOG=1", f"STATUS={status}")
            self._next_watchdog = monotonic() + WATCHDOG_INTERVAL

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal_count += 1
        if self._signal_count > 1:
            os._exit(128 + number)  # the second signal: leave everything to the leases
        self.signals.request_stop()  # lanes check it before each claim; no lock is taken here

    def _every(self, helper: Helper, *, at_once: bool = False) -> threading.Thread:
        def loop() -> None:
            if at_once:
                self._guarded(helper)
            while not helper.wait():
                self._guarded(helper)

        return _start(loop, helper.name)

    def _guarded(self, helper: Helper) -> None:
        """An error costs one turn, never the thread."""
        try:
            helper.turn()
        except Exception as error:
            self.metrics.unexpected(helper.name, error)

    def _due(self) -> bool:
        with self._database.begin() as connection:
            # In this order: what was expanded meanwhile is seen by the second one.
            return self._parts.expander.due(connection) or snapshot.claimable(connection)

    def _alive(self) -> dict[str, str]:
        """Threads that have ended; none should, whatever the database and the sink do."""
        lanes = [] if self._drain else self._lane_threads  # those of a drain end by themselves
        dead = [thread.name for thread in [*lanes, *self._helpers] if not thread.is_alive()]
        return {"threads": ", ".join(dead)} if dead and not self.signals.stopping else {}


def _start(run: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
