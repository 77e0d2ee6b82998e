"""Lab 4 of the document: nothing is retried for ever."""

from outboxctl.core.operator import failed
from outboxctl.core.operator.selection import Selection
from outboxctl.domain.failures import Reason
from outboxctl.drills.labs import outage
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene

CAUGHT = 100  # events written while the sink is away
LATER = 20  # and once it is back


class AttemptsExhausted(Lab):
    """The sink stays away for longer than the attempts last."""

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

    def inject(self, scene: Scene) -> None:
        """Take the sink away, then write events."""
        self.way = outage.refuse(scene)
        scene.load(CAUGHT)

    def observe(self, scene: Scene) -> None:
        """Wait until all of them have failed."""
        scene.expect_soon(
            BilingualText("all events of the outage fail", "故障期间的事件全部进入 failed"),
            lambda: scene.look().failed == CAUGHT,
            within=20,
        )

    def recover(self, scene: Scene) -> None:
        """The sink is back: new events pass."""
        scene.load(LATER)
        scene.recovered(within=15)

    def check(self, scene: Scene) -> None:
        """What section 7.4 expects, of the rows and of the metrics; and that `failed` is an end."""
        most, now = scene.settings.max_attempts, scene.look()
        rows = scene.transact(lambda connection: failed.failed_rows(connection, Selection()))
        scene.expect(BilingualText("events failed", "failed 事件数"), CAUGHT, len(rows))
        attempts = sorted({row.attempts for row in rows})
        scene.expect(BilingualText("attempts of each", "每个事件的 attempts"), [most], attempts)
        reasons = sorted({str(row.error_reason) for row in rows})
        scene.expect(BilingualText("their reason", "error_reason"), [Reason.CONNECT.value], reasons)
        counted = scene.worker("w1").metric("outbox_terminal_failed_total", reason=Reason.CONNECT.value)
        grows = BilingualText(
            "outbox_terminal_failed_total by this reason", "outbox_terminal_failed_total 增长"
        )
        scene.expect(grows, float(CAUGHT), counted)
        scene.expect(
            BilingualText("all others are done", "其他事件全部 done"), scene.written - CAUGHT, now.done
        )
        scene.conclude(BilingualText("way of injection", "故障注入方式"), self.way)
        scene.conclude(BilingualText("attempts in the end", "attempts 到顶"), ", ".join(map(str, attempts)))
        scene.conclude(BilingualText("failed in the end", "最终 failed"), len(rows))
