"""An index that was made read-only: an operator's block, or the engine's own when its disk is full."""

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.sink.index import block


class EsWriteBlock(Lab):
    """A real block on the lab's own index."""

    name = "es-write-block"
    title = BilingualText("The index takes no writes", "索引被设为只读（write block）")
    question = BilingualText(
        "Are events failed for good because somebody made the index read-only?",
        "索引被设为只读时，事件会被误判为终态失败吗？",
    )
    hypothesis = BilingualText(
        "It is an outage, with its own reason: events are retried with backoff, and delivered by themselves "
        "once the block is gone.",
        "这是故障而非坏数据：事件按 backoff 重试，error_reason 为 write_blocked，解除后自动投递。",
    )
    settings = {
        "OUTBOX_BULK_SIZE": "50",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "1",
        "OUTBOX_MAX_ATTEMPTS": "20",
    }
    events = 50
    seconds = 5.0
    by_hand = (
        "outboxctl chaos block --for 30s &",
        "outboxctl worker &",
        "outboxctl inject load --count 100",
        "outboxctl status  # pending, error_reason write_blocked",
        "outboxctl chaos unblock",
    )

    def inject(self, scene: Scene) -> None:
        """Block writes, then write."""
        client, name = scene.client, scene.settings.elastic_index
        scene.fault(
            f"index.blocks.write on {name}",
            lambda: block.set_block(client, name, on=True),
            lambda: block.set_block(client, name, on=False),
        )
        scene.took_hold(
            BilingualText("the index says that it is blocked", "索引设置显示已被 block"),
            lambda: block.blocked(client, name),
        )
        scene.load(100)

    def observe(self, scene: Scene) -> None:
        """Until all of them have been refused, and some tried again."""
        scene.expect_soon(
            BilingualText("events wait for a retry, and come again", "事件等待重试，并再次尝试"),
            lambda: scene.look().attempts_most > 1,
            within=15,
            unless=lambda: scene.look().lag == 0,
        )
        waiting = [event for event in scene.events() if event.error_reason]
        reasons = {str(event.error_reason) for event in waiting}
        scene.expect(
            BilingualText("their reason", "error_reason"), "write_blocked", ", ".join(sorted(reasons))
        )
        scene.conclude(BilingualText("events that waited", "等待重试的事件数"), len(waiting))

    def check(self, scene: Scene) -> None:
        """All delivered, none failed."""
        now = scene.look()
        scene.expect(BilingualText("events failed", "failed 事件数"), 0, now.failed)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, now.done)
        scene.conclude(BilingualText("most attempts", "最大 attempts"), now.attempts_most)
