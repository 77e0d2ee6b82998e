"""Lab 6 of the document: stopping, probes and alerts of a worker that runs as a daemon."""

import signal

from outboxctl.core.operator import moves, selection
from outboxctl.core.operator.selection import Selection
from outboxctl.drills.labs import CHECK, OBSERVE, Lab, LabContext, Steps
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

    def experiment(self, ctx: LabContext) -> Steps:
        """No alert fires at first; then an outage, SIGTERM and a frozen worker, one after the other."""
        _expect_no_alert(ctx)
        ctx.refuse_connections()
        ctx.load(CAUGHT)
        yield OBSERVE
        fired: list[str] = []
        unready = _outage(ctx, fired)
        ctx.undo()
        back = "/readyz is 200 once the sink is back"
        ready = ctx.expect_soon(back, lambda: ctx.ready("w1"), within=TIMEOUT)
        # Replay what failed: otherwise the alert of failures would rightly stay.
        ctx.expect_recovered(TIMEOUT)
        failed, reason = Selection(), "the sink is back"
        ctx.transact(lambda c: moves.replay(c, selection.plan(c, failed), by="lab", reason=reason))
        ctx.expect_recovered(TIMEOUT)
        code, finished = _terminate(ctx)
        _freeze(ctx, fired)
        yield CHECK
        ctx.expect_all_done()
        _expect_no_alert(ctx)
        ctx.conclude("SIGTERM: exit code", code)
        ctx.conclude("the batch in flight was finished", finished)
        ctx.conclude("/readyz tells the truth", bool(unready and ready))
        ctx.conclude("alerts fire", ", ".join(fired))


def _outage(ctx: LabContext, fired: list[str]) -> bool:
    """Probes and alerts in an outage; whether /readyz names the sink."""
    worker = ctx.worker("w1")
    _expect_alert(ctx, "oldest", fired)
    names = "/readyz is 503 and names the sink"
    unready = ctx.expect_soon(names, lambda: "sink" in worker.failing(), within=TIMEOUT)
    ctx.expect("/healthz stays 200", OK, worker.get("/healthz")[0])
    ctx.confirm("events fail for good", lambda: ctx.counts().failed, TIMEOUT)
    _expect_alert(ctx, "failed_growth", fired)
    return unready


def _terminate(ctx: LabContext) -> tuple[int | None, bool]:
    """SIGTERM while the sink holds a batch; the exit code, and whether the batch was finished."""
    worker, before = ctx.worker("w1"), ctx.counts().done
    with ctx.proxy.hold("before apply"):
        _hold_first_batch(ctx, BACKLOG)
        ctx.fault("SIGTERM to worker w1", lambda: worker.send(signal.SIGTERM))
        drains = "/readyz reports that it drains"
        ctx.expect_soon(drains, lambda: "draining" in worker.failing(), within=10)
    ctx.wait(lambda: not worker.running, TIMEOUT)
    now = ctx.counts()
    ctx.expect("exit code after SIGTERM", 0, worker.code)
    ctx.expect("nothing is left processing", 0, now.processing)
    batch = "the batch in flight is done, and no other was begun"
    return worker.code, ctx.expect(batch, BATCH, now.done - before)


def _freeze(ctx: LabContext, fired: list[str]) -> None:
    """Two workers deliver the rest; then one is frozen with a batch, beyond its lease."""
    for name in NEXT:
        own = ctx.worker(name, OUTBOX_LEASE_SECONDS=LEASE, OUTBOX_RECLAIM_INTERVAL_SECONDS=RECLAIM_INTERVAL)
        own.start()
    ctx.expect_recovered()
    ctx.wait(lambda: ctx.ready(*NEXT))
    with ctx.proxy.hold("before apply"):
        _hold_first_batch(ctx, BATCH)
        owners = ctx.owners()
        holder, other = sorted(NEXT, key=lambda name: name not in owners)
        ctx.freeze(holder)
        ctx.confirm("events were processing then", lambda: ctx.counts().processing, within=1)
        _expect_alert(ctx, "stuck", fired)
        witness = ctx.worker(other)
        ctx.expect_soon(f"{STUCK} rises", lambda: witness.metric(STUCK) == BATCH, within=TIMEOUT)
    ctx.undo()


def _hold_first_batch(ctx: LabContext, events: int) -> None:
    """Write events, and wait until the proxy holds the first batch of them."""
    before = ctx.proxy.counts.bulks
    ctx.load(events)
    ctx.confirm("a batch is in flight", lambda: ctx.proxy.counts.bulks > before, TIMEOUT)


def _expect_alert(ctx: LabContext, name: str, fired: list[str]) -> None:
    if ctx.expect_soon(ALERTS[name], lambda: name in _alerts(ctx), TIMEOUT):
        fired.append(name)


def _expect_no_alert(ctx: LabContext) -> None:
    ctx.expect("no alert in the steady state", [], _alerts(ctx))


def _alerts(ctx: LabContext) -> list[str]:
    """The figures beyond their limits, as `outboxctl check` has them."""
    seconds = ctx.settings.max_processing_seconds
    facts = ctx.transact(lambda connection: figures.read(connection, LIMITS, max_processing=seconds))
    return [figure.name for figure in figures.judge(facts, LIMITS) if not figure.well]
