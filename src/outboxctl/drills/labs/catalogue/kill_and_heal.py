"""Lab 1 of the document: a worker is killed while its events are processing."""

from outboxctl.drills.labs import Lab, LabContext

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

    def inject(self, ctx: LabContext) -> None:
        """Kill the worker while the sink holds its batch."""
        worker = ctx.worker("w1")
        with ctx.proxy.hold("before apply"):
            ctx.load(200)
            ctx.wait(lambda: ctx.counts().processing, within=10)
            ctx.fault("SIGKILL to worker w1", worker.kill)
        self.held = ctx.confirm(
            "events were processing at the kill",
            lambda: not worker.running and ctx.counts().processing,
            within=3,
        )

    def observe(self, ctx: LabContext) -> None:
        """Wait until the dead worker's leases are over."""
        ctx.expect_soon("stuck rises above 0", lambda: ctx.counts().stuck, within=20)

    def undo(self, ctx: LabContext) -> None:
        """Start the worker again."""
        ctx.undo()
        if not ctx.worker("w1").running:
            ctx.worker("w1").start()

    def check(self, ctx: LabContext) -> None:
        """Section 4.4: the table, the log and the metrics."""
        worker, now = ctx.worker("w1"), ctx.counts()
        ctx.expect("stuck in the end", 0, now.stuck)
        ctx.expect_counts(done=ctx.written)
        reclaimed = worker.reclaimed()
        ctx.expect(
            "the log reports the reclaim",
            f"{self.held} reclaimed",
            f"{reclaimed} reclaimed",
            met=reclaimed >= self.held,
        )
        ctx.expect_soon(
            f"{STUCK} is back to 0",
            lambda: STUCK in worker.get("/metrics")[1] and worker.metric(STUCK) == 0,
            within=5,
        )
        processed = worker.metric("outbox_processed_total")
        ctx.expect(
            "outbox_processed_total goes on growing",
            f"at least {self.held:g} since the restart",
            f"{processed:g}",
            met=processed >= self.held,
        )
        self._conclude(ctx)

    def _conclude(self, ctx: LabContext) -> None:
        s = ctx.settings
        ctx.conclude(
            "parameters",
            f"lease={s.lease_seconds:g}s, reclaim_interval={s.reclaim_interval_seconds:g}s, "
            f"max_processing={s.max_processing_seconds:g}s",
        )
        ctx.conclude("processing at the kill, about", self.held)
        ctx.conclude("stuck back to zero after the restart", ctx.counts().stuck == 0)
