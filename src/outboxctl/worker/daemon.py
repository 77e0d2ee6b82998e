"""The daemon: starts lanes, maintenance and probes, and stops them in order."""

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import structlog

from outboxctl.core.database import Database
from outboxctl.core.stats import snapshot
from outboxctl.domain import backoff
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError, UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.metrics.server import MetricsServer
from outboxctl.settings import OutagePolicy, Settings
from outboxctl.sink.delivery.result import IndexedSink, Sink
from outboxctl.worker.lane.lane import Lane
from outboxctl.worker.reports import ProgressLog
from outboxctl.worker.stopping import Stopping
from outboxctl.worker.upkeep.heartbeat import Heartbeat, Renewal
from outboxctl.worker.upkeep.listener import Listener
from outboxctl.worker.upkeep.maintenance import Maintenance
from outboxctl.worker.upkeep.probes import Ping, Probes
from outboxctl.worker.wiring import WorkerParts

if TYPE_CHECKING:
    from outboxctl.worker.tracing import Tracing

log = structlog.get_logger()
INTERVAL = 0.5  # seconds between two rounds of maintenance, and two probes of the sink
WATCHDOG_INTERVAL = 1.0  # seconds between two messages to systemd's watchdog: WatchdogSec must be several
# Seconds until waiting threads are woken after a signal: its handler may not wake them (`Signals`). No claim
# is begun meanwhile.
TICK = 0.05
ROUND = 0.1  # seconds after which a drain looks again where something is due and nothing could be claimed
FIRST_PROBE = 2.0  # seconds that the first probe of the sink may take before the lanes start without it


def notify(*states: str) -> None:
    """Send e.g. `READY=1`, `WATCHDOG=1` or `STATUS=…` (one line); does nothing without systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # A leading @ names an abstract socket. An error is ignored: the work does not depend on it.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as own:
        own.sendto("\n".join(states).encode(), f"\0{address[1:]}" if address.startswith("@") else address)


class Daemon:
    """One worker process. `ping` asks the sink with a short timeout; `sink` delivers.

    `sink_of` returns the sink of a declared projection, its index; by default `sink`.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sink: Sink,
        ping: Ping,
        *,
        tracing: "Tracing | None" = None,
        sink_of: Callable[[Projection], IndexedSink] | None = None,
    ) -> None:
        parts = self.parts = WorkerParts(settings, database, sink, sink_of=sink_of, tracing=tracing)
        context = parts.context
        self.metrics, self.health, self.signals = context.metrics, context.health, context.signals
        self._settings, self._database = settings, database
        self._heartbeat = Heartbeat(context, parts.flow)
        maintenance = self._maintenance = Maintenance(
            context, self._heartbeat, parts.reclaimed, parts.flow, parts.expander
        )
        self._probes = Probes(context, ping, parts.reclaimed, parts.flow, lag=lambda: maintenance.own_lag)
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
        self._probes.check_database()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        tune_collector()
        if server:
            server.start()
        # The client of the sink takes long to load: a drain with nothing due does not load it.
        probe_first = due or not drain
        sink_probe = self._every(self._probes.check_sink, "sink-probe", at_once=probe_first)
        if probe_first:
            self._await_first_probe()
        self._say_started(serves=server is not None)
        self._start_helpers(sink_probe)
        notify("READY=1")
        self._work()
        notify("STOPPING=1", "STATUS=finishing what is in flight")
        stopped = Stopping(self.parts.context).run(
            self._lane_threads, self._settings.shutdown_grace_seconds, leave=self._heartbeat.leave
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
                f"an outage of the sink fails events{' of search_index' * s.holds('declared')}"
                f" after {outage:.1f} s at the earliest (OUTBOX_OUTAGE_POLICY=count,"
                f" OUTBOX_MAX_ATTEMPTS={s.max_attempts}); with hold it fails none"
            )

    def _start_helpers(self, sink_probe: threading.Thread) -> None:
        context, expand, renewal = self.parts.context, self.parts.expander.turn, Renewal(self.parts.context)
        self._helpers = [
            self._every(self._maintenance.turn, "maintenance"),
            self._every(self._probes.check_database, "database-probe"),
            sink_probe,
            self._every(ProgressLog(self.metrics, self.health).turn, "progress-log"),
            # Also while the worker stops: batches in hand are finished, which may take long.
            self._every(
                renewal.turn, "lease-renewal", wait=lambda: self.signals.wait_for_abandon(renewal.interval)
            ),
            self._every(
                partial(expand, always=self._drain, slow=False), "expander", wait=self._wait_for_news()
            ),
            self._every(partial(expand, always=self._drain, slow=True), "expander-slow"),
        ]
        if not self._drain:  # it waits for no new events, and sends deletes again once none is left
            self._helpers += [
                self._every(Listener(context).turn, "listener"),
                self._every(self.parts.deletes.turn, "deletes"),
            ]

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
            if self._probes.sink_checked.wait(TICK):
                return

    def _work(self) -> None:
        """Run lanes until a signal; with drain also once nothing is due any more."""
        while not self.signals.stopping:
            if self._drain:
                self._maintenance.reclaim()
            self._lanes = [self.parts.lane(drain=self._drain) for _ in range(self._settings.concurrency)]
            self._lane_threads = [_start(lane.run, f"lane-{n}") for n, lane in enumerate(self._lanes)]
            while (alive := [t for t in self._lane_threads if t.is_alive()]) and not self.signals.stopping:
                self._watchdog()
                alive[0].join(TICK)
            if self._drain and (self._error() or not self._due()):
                self.parts.deletes.turn()
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

    def _wait_for_news(self) -> Callable[[], bool]:
        """Waits until soon after news of events, at most INTERVAL."""
        news = 0

        def wait() -> bool:
            nonlocal news
            if not self.signals.wait_for_stop(TICK):
                self.signals.wait_for_news(news, INTERVAL - TICK)
                news = self.signals.news
            return self.signals.stopping

        return wait

    def _every(
        self,
        action: Callable[[], None],
        name: str,
        *,
        at_once: bool = False,
        wait: Callable[[], bool] | None = None,
    ) -> threading.Thread:
        """Run the action again and again, after each `wait`, which returns whether to end."""
        over = wait or (lambda: self.signals.wait_for_stop(INTERVAL))

        def loop() -> None:
            if at_once:
                self._guarded(action, name)
            while not over():
                self._guarded(action, name)

        return _start(loop, name)

    def _guarded(self, action: Callable[[], None], name: str) -> None:
        """An error costs one turn, never the thread."""
        try:
            action()
        except Exception as error:
            self.metrics.unexpected(name, error)

    def _due(self) -> bool:
        with self._database.begin() as connection:
            # In this order: what was expanded meanwhile is seen by the second one.
            return self.parts.expander.due(connection) or snapshot.claimable(connection)

    def _alive(self) -> dict[str, str]:
        """Threads that have ended; none should, whatever the database and the sink do."""
        lanes = [] if self._drain else self._lane_threads  # those of a drain end by themselves
        dead = [thread.name for thread in [*lanes, *self._helpers] if not thread.is_alive()]
        return {"threads": ", ".join(dead)} if dead and not self.signals.stopping else {}


def _start(run: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def addresses(host: str, port: int) -> dict[str, str]:
    """The URLs of the worker that open on this machine; an address for all interfaces becomes 127.0.0.1."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    host = f"[{host}]" if ":" in host else host
    return {name: f"http://{host}:{port}/{name}" for name in ("metrics", "healthz", "readyz")}


def tune_collector() -> None:
    """Keep the garbage collector from examining all loaded modules again for every batch.

    A batch makes thousands of short-lived objects and no cycles; with the default thresholds their
    number alone starts full collections, a third of the CPU an event.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    gc.enable()
