"""Lab 6 of the document: stopping, probes and alerts of a worker that runs as a daemon."""

import signal

from outboxctl.core.operator import moves, selection
from outboxctl.core.operator.selection import Selection
from outboxctl.drills.labs import Lab, LabContext, outage
from outboxctl.drills.labs.context import OK
from outboxctl.operations.check import figures
from outboxctl.operations.check.figures import CheckLimits

CAUGHT, BATCH, BACKLOG = 60, 50, 200
TIMEOUT = 15.0
# Two more workers, one of which is frozen: the other reports its events as stuck, and reclaims them late.
NEXT, LEASE, RECLAIM_INTERVAL = ("w2", "w3"), "3", "30"
STUCK = "outbox_stuck_processing_events"
# Alert thresholds: the oldest event beyond the SLA, anything stuck, any event failed within the window.
LIMITS = CheckLimits(oldest_age=0.5, failed_growth=0, window=300)
ALERTS = {
    "oldest": "alert: the oldest event is beyond the SLA",
    "failed_growth": "alert: a surge of terminal failures",
    "stuck": "alert: stuck above 0",
}


class DaemonLab(Lab):
    """Probes and alerts while the sink is unreachable and a worker hangs; SIGTERM during a batch."""

    name = "daemon"
    number = 6
    title = "A daemon: stopping, health, alerts"
    question = "Does the worker stop without leaving anything behind, and are probes and alerts correct?"
    hypothesis = (
        "SIGTERM stops claiming, the batch in flight ends, exit code 0; /healthz stays 200 while /readyz "
        "says 503 and why; each alert fires when it should, and none when all is well."
    )
    settings = {
        "OUTBOX_MAX_ATTEMPTS": "5",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.3",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.6",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "1",
        "OUTBOX_BULK_SIZE": f"{BATCH}",
        "OUTBOX_CONCURRENCY": "1",
    }
    seconds = 15.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl chaos es stop",
        "outboxctl inject load --total 60 --rate 0",
        "curl -s -i http://localhost:9108/healthz",
        "curl -s -i http://localhost:9108/readyz",
        "outboxctl check --max-oldest-age 0.5 --max-failed-growth 0",
        "outboxctl chaos es start",
        "outboxctl inject load --total 50000 --rate 0 --per-transaction 500",
        "kill -TERM %1; wait %1; echo $?",
        "outboxctl status  # nothing is left processing",
    )
    judged = "v4 fit to run as a daemon:"

    def inject(self, ctx: LabContext) -> None:
        """No alert fires at first; then refuse connections to the sink."""
        _expect_no_alert(ctx)
        outage.refuse(ctx)
        ctx.load(CAUGHT)

    def observe(self, ctx: LabContext) -> None:
        """An outage, SIGTERM and a frozen worker, one after the other."""
        self._outage(ctx)
        ctx.undo()
        self.ready = ctx.expect_soon(
            "/readyz is 200 once the sink is back",
            lambda: ctx.ready("w1"),
            within=TIMEOUT,
        )
        self._replay(ctx)
        self._terminate(ctx)
        self._freeze(ctx)

    def check(self, ctx: LabContext) -> None:
        """All events are done, and no alert fires any more."""
        ctx.expect_counts(done=ctx.written)
        _expect_no_alert(ctx)
        ctx.conclude("SIGTERM: exit code", self.code)
        ctx.conclude("the batch in flight was finished", self.finished)
        ctx.conclude("/readyz tells the truth", bool(self.unready and self.ready))
        ctx.conclude("alerts fire", ", ".join(self.fired))

    def _outage(self, ctx: LabContext) -> None:
        worker = ctx.worker("w1")
        self.fired: list[str] = []
        self._expect_alert(ctx, "oldest")
        self.unready = ctx.expect_soon(
            "/readyz is 503 and names the sink",
            lambda: "sink" in worker.failing(),
            within=TIMEOUT,
        )
        ctx.expect("/healthz stays 200", OK, worker.get("/healthz")[0])
        ctx.confirm("events fail for good", lambda: ctx.counts().failed, TIMEOUT)
        self._expect_alert(ctx, "failed_growth")

    def _replay(self, ctx: LabContext) -> None:
        """Replay what failed: otherwise the alert of failures would rightly stay."""
        ctx.expect_recovered(TIMEOUT)
        ctx.transact(
            lambda c: moves.replay(c, selection.plan(c, Selection()), by="lab", reason="the sink is back")
        )
        ctx.expect_recovered(TIMEOUT)

    def _terminate(self, ctx: LabContext) -> None:
        """SIGTERM while the sink holds a batch."""
        worker, before = ctx.worker("w1"), ctx.counts().done
        with ctx.proxy.hold("before apply"):
            _hold_first_batch(ctx, BACKLOG)
            ctx.fault("SIGTERM to worker w1", lambda: worker.send(signal.SIGTERM))
            drains = "/readyz reports that it drains"
            ctx.expect_soon(drains, lambda: "draining" in worker.failing(), within=10)
        ctx.wait(lambda: not worker.running, TIMEOUT)
        self.code, now = worker.code, ctx.counts()
        ctx.expect("exit code after SIGTERM", 0, self.code)
        ctx.expect("nothing is left processing", 0, now.processing)
        batch = "the batch in flight is done, and no other was begun"
        self.finished = ctx.expect(batch, BATCH, now.done - before)

    def _freeze(self, ctx: LabContext) -> None:
        """Two workers deliver the rest; then one is frozen with a batch, beyond its lease."""
        for name in NEXT:
            ctx.worker(
                name, OUTBOX_LEASE_SECONDS=LEASE, OUTBOX_RECLAIM_INTERVAL_SECONDS=RECLAIM_INTERVAL
            ).start()
        ctx.expect_recovered()
        ctx.wait(lambda: ctx.ready(*NEXT))
        with ctx.proxy.hold("before apply"):
            _hold_first_batch(ctx, BATCH)
            owners = ctx.owners()
            holder, other = sorted(NEXT, key=lambda name: name not in owners)
            worker, witness = ctx.worker(holder), ctx.worker(other)
            ctx.fault(
                f"SIGSTOP to worker {holder}",
                lambda: worker.send(signal.SIGSTOP),
                lambda: worker.send(signal.SIGCONT),
            )
            processing = "events were processing then"
            ctx.confirm(processing, lambda: ctx.counts().processing, within=1)
            self._expect_alert(ctx, "stuck")
            ctx.expect_soon(f"{STUCK} rises", lambda: witness.metric(STUCK) == BATCH, within=TIMEOUT)
        ctx.undo()

    def _expect_alert(self, ctx: LabContext, name: str) -> None:
        if ctx.expect_soon(ALERTS[name], lambda: name in _alerts(ctx), TIMEOUT):
            self.fired.append(name)


def _hold_first_batch(ctx: LabContext, events: int) -> None:
    """Write events, and wait until the proxy holds the first batch of them."""
    before = ctx.proxy.counts.bulks
    ctx.load(events)
    ctx.confirm("a batch is in flight", lambda: ctx.proxy.counts.bulks > before, TIMEOUT)


def _expect_no_alert(ctx: LabContext) -> None:
    ctx.expect("no alert in the steady state", [], _alerts(ctx))


def _alerts(ctx: LabContext) -> list[str]:
    """The figures beyond their limits, as `outboxctl check` has them."""
    seconds = ctx.settings.max_processing_seconds
    facts = ctx.transact(lambda connection: figures.read(connection, LIMITS, max_processing=seconds))
    return [figure.name for figure in figures.judge(facts, LIMITS) if not figure.well]
