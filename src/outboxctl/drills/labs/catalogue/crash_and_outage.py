"""Labs 1 and 2 of the document, a killed worker and an unreachable sink; and a worker that is frozen."""

from signal import SIGCONT

from outboxctl.core.stats import snapshot
from outboxctl.domain import backoff
from outboxctl.drills.labs import CHECK, OBSERVE, Lab, LabContext, Steps

STUCK = "outbox_stuck_processing_events"
CAUGHT = 100  # events written during the outage
ROUNDS = 3  # retries of each that are waited for
BATCH = 10  # events of the frozen worker
LONG_LEASE = "60"  # seconds: the second worker still holds its event when the frozen one resumes
RETRIES, LAG, AGE = "outbox_retry_scheduled_total", "outbox_lag_events", "outbox_oldest_age_seconds"


class KillAndHeal(Lab):
    """SIGKILL while events are processing; the next worker reclaims them."""

    name = "kill-and-heal"
    number = 1
    title = "Events of a killed worker are reclaimed"
    question = "Do events of a dead worker stay in processing for ever?"
    hypothesis = "They are stuck once their lease is over, until the next worker reclaims and delivers them."
    # The document's own (section 4.2).
    settings = {
        "OUTBOX_LEASE_SECONDS": "10",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "2",
        "OUTBOX_MAX_PROCESSING_SECONDS": "60",
        "OUTBOX_BULK_SIZE": "20",
        "OUTBOX_CONCURRENCY": "1",
    }
    seconds = 18.0
    by_hand = (
        "outboxctl inject load --total 50000 --rate 0 --per-transaction 500",
        "outboxctl worker &",
        "kill -9 %1  # a few seconds later, while events are processing",
        "outboxctl status --watch 1  # ^C once stuck is above 0",
        "outboxctl worker  # ^C once its log says Reclaimed",
        "outboxctl stuck  # none",
    )
    judged = "v1 stuck events are reclaimed:"

    def experiment(self, ctx: LabContext) -> Steps:
        """Kill the worker while the sink holds its batch; start it again once its leases are over."""
        worker = ctx.worker("w1")
        with ctx.proxy.hold("before apply"):
            ctx.load(200)
            ctx.wait(lambda: ctx.counts().processing, within=10)
            ctx.fault("SIGKILL to worker w1", worker.kill, worker.start)
        killed = "events were processing at the kill"
        held = ctx.confirm(killed, lambda: not worker.running and ctx.counts().processing, within=3)
        yield OBSERVE
        ctx.expect_soon("stuck rises above 0", lambda: ctx.counts().stuck, within=20)
        yield CHECK  # section 4.4: the table, the log and the metrics
        stuck, reclaimed = ctx.counts().stuck, worker.reclaimed()
        ctx.expect("stuck in the end", 0, stuck)
        ctx.expect_all_done()
        logged = "the log reports the reclaim"
        ctx.expect(logged, f"{held} reclaimed", f"{reclaimed} reclaimed", met=reclaimed >= held)
        ctx.expect_soon(
            f"{STUCK} is back to 0",
            lambda: STUCK in worker.get("/metrics")[1] and worker.metric(STUCK) == 0,
            within=5,
        )
        processed, least = worker.metric("outbox_processed_total"), f"at least {held:g} since the restart"
        growing = "outbox_processed_total goes on growing"
        ctx.expect(growing, least, f"{processed:g}", met=processed >= held)
        s = ctx.settings
        ctx.conclude(
            "parameters",
            f"lease={s.lease_seconds:g}s, reclaim_interval={s.reclaim_interval_seconds:g}s, "
            f"max_processing={s.max_processing_seconds:g}s",
        )
        ctx.conclude("processing at the kill, about", held)
        ctx.conclude("stuck back to zero after the restart", stuck == 0)


class OutageAndBackoff(Lab):
    """The sink is unreachable under load, and comes back."""

    name = "outage-and-backoff"
    number = 2
    title = "An outage of ES: retries that back off"
    question = "Does the queue flood a sink that is unreachable, or fail its events?"
    hypothesis = (
        "Events wait in pending with a jittered next_retry_at that grows; none fails, and all are delivered "
        "once ES is back."
    )
    # Attempts enough that lab 4 does not happen on the way (the document's own advice, section 5.5.3).
    settings = {
        "OUTBOX_MAX_ATTEMPTS": "100",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.5",
        "OUTBOX_MAX_BACKOFF_SECONDS": "2",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    }
    seconds = 9.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl chaos es stop",
        "outboxctl inject load --total 100 --rate 0",
        "curl -s localhost:9108/metrics | grep ^outbox_retry_scheduled_total | grep -v ' 0.0'",
        "outboxctl oldest",
        "outboxctl chaos es start",
        "outboxctl status  # all is done soon",
        "kill %1",
    )
    judged = "v2 backoff and jitter:"

    def experiment(self, ctx: LabContext) -> Steps:
        """Refuse connections, then write events: retries at spread times, and none fails."""
        worker, injection = ctx.worker("w1"), ctx.refuse_connections()
        ctx.load(CAUGHT)
        yield OBSERVE
        grows = f"{RETRIES} goes on growing"
        growing = ctx.expect_soon(grows, lambda: worker.metric(RETRIES) >= ROUNDS * CAUGHT)
        waiting = "events wait for a next_retry_at in the future"
        ctx.expect_soon(waiting, lambda: ctx.counts().waiting >= CAUGHT / 2, within=10)
        ctx.expect_soon(  # the gauges by which an outage is noticed
            f"{LAG} and {AGE} rise",
            lambda: worker.metric(LAG) == CAUGHT and worker.metric(AGE) > 0,
            within=10,
        )
        _expect_spread(ctx)
        controlled = _expect_growing_waits(ctx)
        ctx.expect("no event fails for good", 0, ctx.counts().failed)
        yield CHECK
        ctx.expect_all_done()
        ctx.conclude("way of injection", injection)
        ctx.conclude("the retry metric grows", bool(growing))
        ctx.conclude("attempts are under control", controlled)


def _expect_spread(ctx: LabContext) -> None:
    """Without jitter all events of a batch, put back at one time, would be due at one time."""
    pending = ctx.transact(lambda connection: snapshot.oldest(connection, limit=CAUGHT))
    times, least = {event.next_retry_at for event in pending if event.next_retry_at}, CAUGHT // 2
    spread = "their times are spread by jitter"
    ctx.expect(spread, f"at least {least} different", f"{len(times)} different", met=len(times) >= least)


def _expect_growing_waits(ctx: LabContext) -> bool:
    """No event is due sooner than the shortest possible waits after its attempts add up to."""
    base, cap = ctx.settings.base_backoff_seconds, ctx.settings.max_backoff_seconds
    waits = [
        (event.attempts, (event.next_retry_at - event.created_at).total_seconds())
        for event in ctx.events()
        if event.status == "pending" and event.next_retry_at and event.created_at
    ]
    early = [
        f", such as attempt {attempts} after {seconds:.1f} s"
        for attempts, seconds in waits
        if seconds < backoff.survives(attempts + 1, base=base, cap=cap)
    ]
    return ctx.expect(
        "attempts do not explode",
        "0 events due sooner than growing waits allow",
        f"{len(early)} of {len(waits)}{''.join(early[:1])}",
        met=bool(waits) and not early,
    )


class ZombieWorker(Lab):
    """SIGSTOP with a batch in flight; others reclaim it, and one still holds an event of it; SIGCONT."""

    name = "zombie-worker"
    title = "A frozen worker resumes after its lease"
    question = "Can a worker that was frozen past its lease undo what others have done since?"
    hypothesis = (
        "What it still sends and writes changes nothing: the lease is lost, and no document becomes older."
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "3",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 50
    seconds = 11.0
    by_hand = (
        "outboxctl inject load --count 10000 --rate 0",
        "OUTBOX_WORKER_ID=w1 outboxctl worker &",
        "outboxctl chaos kill --pause --id w1",
        "OUTBOX_METRICS_PORT=9109 outboxctl worker &  # waits for the lease's end",
        "outboxctl chaos undo",
        "outboxctl verify",
    )

    def experiment(self, ctx: LabContext) -> Steps:
        """Freeze the worker while the sink holds its batch; others take its events; it resumes."""
        worker = ctx.worker("w1")
        ctx.hold_up("the sink holds the batch of worker w1", "before apply")
        caught = ctx.load(BATCH)
        ctx.wait(lambda: len(ctx.held()) == BATCH, within=10)
        ctx.freeze("w1")
        frozen = "it was frozen while it held a batch"
        ctx.confirm(frozen, lambda: worker.frozen and len(ctx.held()), within=3)
        held = [event.id for event in ctx.held()]
        yield OBSERVE
        ctx.worker("w2", OUTBOX_LEASE_SECONDS=LONG_LEASE, OUTBOX_BULK_SIZE="1").start()
        ctx.expect_soon("another worker holds an event of it", lambda: "w2" in ctx.owners())
        ctx.write(caught)
        ctx.worker("w3", direct=True).start()
        ctx.expect_soon(
            "a third one delivers all others",
            lambda: {event.owner for event in ctx.events() if event.status != "done"} <= {"w2"},
        )
        # What it writes once it resumes must change no row, done or held by another worker.
        before = ctx.events(held)
        worker.send(SIGCONT)
        ctx.log("SIGCONT to worker w1")
        lost = ctx.wait(lambda: int(worker.metric("outbox_lease_lost_total")))
        ctx.expect("leases lost by the late worker", len(held), lost)
        changed = sum(a != b for a, b in zip(before, ctx.events(held), strict=True))
        ctx.expect("events that it changed after it resumed", 0, changed)
        ctx.undo()
        yield CHECK
        ctx.expect("versions in the index", {2}, set(ctx.versions(caught)))
        processed = int(ctx.metric("outbox_processed_total"))
        ctx.expect("processed, by the metric", ctx.written, processed)
