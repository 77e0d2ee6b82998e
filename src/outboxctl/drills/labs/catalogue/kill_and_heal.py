"""Lab 1 of the document: a worker is killed while its events are processing."""

from outboxctl.drills.labs import CHECK, OBSERVE, Lab, LabContext, Steps

STUCK = "outbox_stuck_processing_events"


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
        ctx.expect_counts(done=ctx.written)
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
