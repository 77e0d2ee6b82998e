"""Lab 1 of the document: the events of a killed worker are reclaimed."""

from outboxctl.drills.labs import BilingualText, Lab, LabContext

STUCK = "outbox_stuck_processing_events"


class KillAndHeal(Lab):
    """SIGKILL while events are processing; the next worker reclaims them."""

    name = "kill-and-heal"
    number = 1
    title = BilingualText("A killed worker heals itself", "Kill worker 后能自动自愈（reclaim）")
    question = BilingualText(
        "Do events that a dead worker held hang for ever?",
        "worker 半路死亡/卡死，会让 outbox 永久悬空吗？",
    )
    hypothesis = BilingualText(
        "They are stuck once their lease is over, until the next worker reclaims and delivers them.",
        "stuck 计数会短暂 >0，重启 worker 后 reclaim 将其捞回并继续推进，stuck 回到 0。",
    )
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
    judged = BilingualText("v1 stuck events heal themselves:", "v1 stuck 自愈")

    def inject(self, ctx: LabContext) -> None:
        """Kill the worker while the sink holds its batch."""
        worker = ctx.worker("w1")
        with ctx.proxy.hold("before apply"):
            ctx.load(200)
            ctx.wait(lambda: ctx.counts().processing, within=10)
            ctx.fault("SIGKILL to worker w1", worker.kill)
        self.held = ctx.confirm(
            ("events were processing at the kill", "kill 时有 processing 事件"),
            lambda: not worker.running and ctx.counts().processing,
            within=3,
        )

    def observe(self, ctx: LabContext) -> None:
        """Wait until the dead worker's leases are over."""
        rises = ("stuck rises above 0", "stuck 计数短暂 >0")
        ctx.expect_soon(rises, lambda: ctx.counts().stuck, within=20)

    def undo(self, ctx: LabContext) -> None:
        """Start the worker again."""
        ctx.undo()
        if not ctx.worker("w1").running:
            ctx.worker("w1").start()

    def check(self, ctx: LabContext) -> None:
        """Section 4.4: the table, the log and the metrics."""
        worker, now = ctx.worker("w1"), ctx.counts()
        ctx.expect(("stuck in the end", "最终 stuck"), 0, now.stuck)
        ctx.expect_counts(done=ctx.written)
        reclaimed = worker.reclaimed()
        ctx.expect(
            ("the log reports the reclaim", "日志出现 reclaim 记录"),
            f"{self.held} reclaimed",
            f"{reclaimed} reclaimed",
            met=reclaimed >= self.held,
        )
        ctx.expect_soon(
            (f"{STUCK} is back to 0", f"{STUCK} 回落到 0"),
            lambda: STUCK in worker.get("/metrics")[1] and worker.metric(STUCK) == 0,
            within=5,
        )
        processed = worker.metric("outbox_processed_total")
        ctx.expect(
            ("outbox_processed_total goes on growing", "outbox_processed_total 继续增长"),
            f"at least {self.held:g} since the restart",
            f"{processed:g}",
            met=processed >= self.held,
        )
        self._conclude(ctx)

    def _conclude(self, ctx: LabContext) -> None:
        s = ctx.settings
        ctx.conclude(
            ("parameters", "参数"),
            f"lease={s.lease_seconds:g}s, reclaim_interval={s.reclaim_interval_seconds:g}s, "
            f"max_processing={s.max_processing_seconds:g}s",
        )
        ctx.conclude(("processing at the kill, about", "kill 时 processing 约为"), self.held)
        zero = ("stuck back to zero after the restart", "重启后 stuck 是否归零")
        ctx.conclude(zero, ctx.counts().stuck == 0)
