"""Lab 4 of the document: no event is retried without end."""

from outboxctl.core.operator import failed
from outboxctl.core.operator.selection import Selection
from outboxctl.domain.failures import Reason
from outboxctl.drills.labs import BilingualText, Lab, LabContext, outage

CAUGHT = 100  # events written during the outage
LATER = 20  # and after it


class AttemptsExhausted(Lab):
    """The sink is unreachable for longer than the attempts last."""

    name = "attempts-exhausted"
    number = 4
    title = BilingualText(
        "Attempts run out: failed, not retried for ever", "max_attempts 到顶 → 自动转 failed"
    )
    question = BilingualText("Is anything retried without end?", "是否存在无限重试？")
    hypothesis = BilingualText(
        "After OUTBOX_MAX_ATTEMPTS an event is failed, with the last reason; the sink's return moves it not.",
        "attempts 到顶后这些行进入终态 failed，并写入最后的 error_reason；ES 恢复后也不会自动重试。",
    )
    # The document's own (section 7.2).
    settings = {
        "OUTBOX_MAX_ATTEMPTS": "3",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "1.0",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    }
    seconds = 5.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl chaos es stop",
        "outboxctl inject load --total 100 --rate 0",
        "outboxctl status --watch 1  # ^C once they are failed",
        "outboxctl failed list",
        "outboxctl chaos es start",
        "outboxctl status  # they stay failed",
        "kill %1",
    )
    judged = BilingualText("the limit of attempts works:", "max_attempts 上限策略生效")

    def inject(self, ctx: LabContext) -> None:
        """Refuse connections to the sink, then write events."""
        self.injection = outage.refuse(ctx)
        ctx.load(CAUGHT)

    def observe(self, ctx: LabContext) -> None:
        """Wait until all of them have failed."""
        fail = ("all events of the outage fail", "故障期间的事件全部进入 failed")
        ctx.expect_soon(fail, lambda: ctx.counts().failed == CAUGHT, within=20)

    def recover(self, ctx: LabContext) -> None:
        """The sink is back: write new events and wait for them."""
        ctx.load(LATER)
        ctx.expect_recovered(within=15)

    def check(self, ctx: LabContext) -> None:
        """Section 7.4: rows and metrics; failed events stay failed."""
        rows = ctx.transact(lambda connection: failed.rows(connection, Selection()))
        ctx.expect(("events failed", "failed 事件数"), CAUGHT, len(rows))
        attempts = sorted({row.attempts for row in rows})
        ctx.expect(("attempts of each", "每个事件的 attempts"), [ctx.settings.max_attempts], attempts)
        reasons = sorted({str(row.error_reason) for row in rows})
        ctx.expect(("their reason", "error_reason"), [Reason.CONNECT.value], reasons)
        ctx.expect(
            ("outbox_terminal_failed_total by this reason", "outbox_terminal_failed_total 增长"),
            float(CAUGHT),
            ctx.worker("w1").metric("outbox_terminal_failed_total", reason=Reason.CONNECT.value),
        )
        ctx.expect(("all others are done", "其他事件全部 done"), ctx.written - CAUGHT, ctx.counts().done)
        ctx.conclude(("way of injection", "故障注入方式"), self.injection)
        ctx.conclude(("attempts in the end", "attempts 到顶"), ", ".join(map(str, attempts)))
        ctx.conclude(("failed in the end", "最终 failed"), len(rows))
