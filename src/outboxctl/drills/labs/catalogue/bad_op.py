"""Lab 3 of the document: an error that no retry can mend ends the event at once."""

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene

BAD_OP = "not-a-real-op"
NEIGHBOURS = 20
REASON = "deterministic_exception"


class BadOp(Lab):
    """An event whose op no worker knows."""

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

    def inject(self, scene: Scene) -> None:
        """One bad event, and good ones in the same transaction: so in one batch."""
        self.bad = scene.fault(
            "an event with an unknown op", lambda: scene.insert(op=BAD_OP, beside=NEIGHBOURS)
        )
        scene.took_hold(
            BilingualText("the bad event is in the table", "坏事件已写入表中"),
            lambda: self.bad and scene.events([self.bad])[0].op == BAD_OP,
            within=2,
        )

    def recover(self, scene: Scene) -> None:
        """Neither the bad one nor its neighbours are under way any more."""
        scene.recovered(within=10)

    def check(self, scene: Scene) -> None:
        """What section 6.3 expects: failed for good, at once, with a reason; and counted."""
        assert self.bad  # noqa: S101 - for mypy: it took hold
        event, now, worker = scene.events([self.bad])[0], scene.look(), scene.worker("w1")
        scene.expect(BilingualText("its status", "该行 status"), "failed", event.status)
        scene.expect(BilingualText("its attempts", "该行 attempts"), 1, event.attempts)
        scene.expect(BilingualText("its next retry", "该行 next_retry_at"), None, event.next_retry_at)
        scene.expect(BilingualText("its reason", "该行 error_reason"), REASON, event.error_reason)
        told = f"Unknown outbox op: {BAD_OP!r}"
        names_it = BilingualText("its error names the op", "error 字段包含非法 op")
        scene.expect(names_it, told, event.error, met=told in (event.error or ""))
        scene.expect(BilingualText("events failed", "failed 事件数"), 1, now.failed)
        scene.expect(BilingualText("all others are done", "其他事件全部 done"), scene.written - 1, now.done)
        scene.expect(
            BilingualText("outbox_terminal_failed_total by this reason", "outbox_terminal_failed_total 增长"),
            1.0,
            worker.metric("outbox_terminal_failed_total", reason=REASON),
        )
        logged = told if told in worker.log_text() else "nothing of it"
        scene.expect(BilingualText("the log says why", "日志说明原因"), told, logged)
        scene.conclude(
            BilingualText("way of injection", "注入方式"), BilingualText("bad op by SQL", "坏 op SQL")
        )
        scene.conclude(BilingualText("failed is terminal", "failed 是否进入终态"), event.status == "failed")
        written, value = bool(event.error_reason), event.error_reason
        was_written = BilingualText("error_reason was written", "error_reason 是否写入")
        filled = BilingualText(f"yes (value: {value})", f"是（值：{value}）") if written else False
        scene.conclude(was_written, filled)
