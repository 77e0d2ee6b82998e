"""Lab 3 of the document: an error that no retry can mend ends the event at once."""

from outboxctl.labs.lab import Lab
from outboxctl.labs.model import Words
from outboxctl.labs.scene import Scene

BAD_OP = "not-a-real-op"


class BadOp(Lab):
    """An event whose op no worker knows."""

    name = "bad-op"
    number = 3
    title = Words("A deterministic error fails at once", "确定性错误直接进入终态")
    question = Words(
        "Is an event that can never be delivered retried for ever?", "永远无法投递的事件会被无限重试吗？"
    )
    hypothesis = Words(
        "It becomes failed at its first attempt, with a reason and an error, and delays nobody else.",
        "它在第一次尝试后直接进入 failed 终态，写入 error_reason 和 error，且不影响其他事件。",
    )
    seconds = 4.0
    by_hand = (
        "outboxctl inject bad-op",
        "outboxctl failed list",
        "outboxctl failed show ID",
    )

    def inject(self, scene: Scene) -> None:
        """One bad event, and good ones after it."""
        self.bad = scene.fault("an event with an unknown op", lambda: scene.insert(op=BAD_OP))
        scene.took_hold(
            Words("the bad event is in the table", "坏事件已写入表中"),
            lambda: self.bad and scene.events([self.bad])[0].op == BAD_OP,
            within=2,
        )
        scene.load(20)

    def check(self, scene: Scene) -> None:
        """Failed for good, at once, with a reason; and counted."""
        assert self.bad  # noqa: S101 - for mypy: it took hold
        event = scene.events([self.bad])[0]
        scene.expect(Words("its status", "状态"), "failed", event.status)
        scene.expect(Words("its attempts", "尝试次数"), 1, event.attempts)
        scene.expect(Words("its next retry", "下次重试时间"), None, event.next_retry_at)
        scene.expect(Words("its reason", "error_reason"), "deterministic_exception", event.error_reason)
        told = f"Unknown outbox op: {BAD_OP!r}"
        scene.expect(
            Words("its error names the op", "error 指明非法 op"),
            told,
            event.error,
            met=told in (event.error or ""),
        )
        scene.expect(Words("events failed", "failed 事件数"), 1, scene.look().failed)
        scene.conclude(Words("way of injection", "注入方式"), "bad op by SQL")
        scene.conclude(Words("failed is terminal", "failed 是否进入终态"), event.status == "failed")
        scene.conclude(Words("error_reason was written", "error_reason 是否写入"), event.error_reason)
