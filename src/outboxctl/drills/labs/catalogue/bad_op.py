"""Lab 3 of the document: an error that no retry can repair fails the event at once."""

from outboxctl.drills.labs import BilingualText, Lab, LabContext

BAD_OP = "not-a-real-op"
NEIGHBOURS = 20
REASON = "deterministic_exception"
ERROR = f"Unknown outbox op: {BAD_OP!r}"


class BadOp(Lab):
    """An event whose op is unknown."""

    name = "bad-op"
    number = 3
    title = BilingualText("A deterministic error fails at once", "确定性错误 → 直接 failed（终态）")
    question = BilingualText(
        "Is an event that can never be delivered retried for ever?", "确定性错误会无限重试吗？"
    )
    hypothesis = BilingualText(
        "It becomes failed at its first attempt, with a reason and an error, and delays nobody else.",
        "该行直接进入终态 failed，并记录 error_reason + error，且不影响其他事件。",
    )
    seconds = 4.0
    by_hand = (
        "outboxctl inject bad-op",
        "outboxctl worker --drain",
        "outboxctl failed list",
        "outboxctl failed show ID  # the one that inject printed",
    )
    judged = BilingualText("deterministic errors end:", "确定性错误收敛")

    def inject(self, ctx: LabContext) -> None:
        """Insert one bad event and valid ones, in one batch."""
        self.bad = ctx.fault("an event with an unknown op", lambda: ctx.insert(op=BAD_OP, beside=NEIGHBOURS))
        ctx.confirm(
            ("the bad event is in the table", "坏事件已写入表中"),
            lambda: self.bad and ctx.events([self.bad])[0].op == BAD_OP,
            within=2,
        )

    def recover(self, ctx: LabContext) -> None:
        """Wait until all events of the batch are settled."""
        ctx.expect_recovered(within=10)

    def check(self, ctx: LabContext) -> None:
        """Section 6.3: failed at once, with a reason; counted."""
        assert self.bad  # noqa: S101 - for mypy: it was confirmed
        event, worker = ctx.events([self.bad])[0], ctx.worker("w1")
        ctx.expect_event(event, status="failed", attempts=1, next_retry_at=None, error_reason=REASON)
        named = ERROR in (event.error or "")
        ctx.expect(("its error names the op", "error 字段包含非法 op"), ERROR, event.error, met=named)
        counts = ctx.expect_counts(failed=1)
        ctx.expect(("all others are done", "其他事件全部 done"), ctx.written - 1, counts.done)
        ctx.expect(
            ("outbox_terminal_failed_total by this reason", "outbox_terminal_failed_total 增长"),
            1.0,
            worker.metric("outbox_terminal_failed_total", reason=REASON),
        )
        logged = ERROR if ERROR in worker.log_text() else "nothing of it"
        ctx.expect(("the log says why", "日志说明原因"), ERROR, logged)
        ctx.conclude(("way of injection", "注入方式"), ("bad op by SQL", "坏 op SQL"))
        ctx.conclude(("failed is terminal", "failed 是否进入终态"), event.status == "failed")
        value = event.error_reason
        ctx.conclude(
            ("error_reason was written", "error_reason 是否写入"),
            (f"yes (value: {value})", f"是（值：{value}）") if value else False,
        )
