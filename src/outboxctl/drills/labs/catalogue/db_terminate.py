"""A worker's sessions are ended by the database, again and again."""

from typing import TYPE_CHECKING

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText, Need
from outboxctl.drills.labs.scene import READY, Scene

if TYPE_CHECKING:
    from uuid import UUID

TIMES, BATCH = 3, 50


class DbTerminate(Lab):
    """pg_terminate_backend while batches are under way."""

    name = "db-terminate"
    title = BilingualText("The database ends the worker's sessions", "数据库终止 worker 的会话")
    question = BilingualText(
        "What does a worker lose when the database ends its sessions in the middle of a batch?",
        "批次处理途中会话被数据库终止，worker 会丢失什么？",
    )
    hypothesis = BilingualText(
        "Nothing: it connects again and settles what it holds; nothing is sent twice or waits for a lease.",
        "什么都不丢：worker 重连并结算手中的批次，无重复发送，也无需等待租约到期。",
    )
    needs = frozenset({Need.PRIVATE_DATABASE})
    settings = {
        "OUTBOX_LEASE_SECONDS": "5",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 50
    seconds = 5.0
    by_hand = (
        "outboxctl inject load --count 20000 --rate 0",
        "outboxctl worker & sleep 5  # one that is not up yet would end",
        "outboxctl chaos db terminate --for 5s --every 1s",
        "outboxctl status",
    )

    def inject(self, scene: Scene) -> None:
        """End them while the sink has a batch, several times."""
        self.entities = [entity for _ in range(TIMES) for entity in self._once(scene)]

    def check(self, scene: Scene) -> None:
        """Each event was claimed once and settled by whoever claimed it."""
        now, worker = scene.look(), scene.worker("w1")
        scene.expect(BilingualText("/healthz", "/healthz"), READY, worker.get("/healthz")[0])
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, now.done)
        scene.expect(BilingualText("claims of all events", "领取次数之和"), scene.written, now.attempts)
        twice = sum(times > 1 for times in scene.times_sent(self.entities))
        scene.expect(BilingualText("documents sent twice", "重复发送的文档"), 0, twice)
        scene.expect(BilingualText("events reclaimed", "被回收的事件"), 0, worker.reclaimed())
        processed = int(worker.metric("outbox_processed_total"))
        scene.expect(BilingualText("processed, by the metric", "processed 指标"), scene.written, processed)
        scene.conclude(BilingualText("rounds", "轮数"), TIMES)

    def _once(self, scene: Scene) -> "list[UUID]":
        with scene.proxy.hold("after apply") as gate:
            entities = scene.load(BATCH)
            gate.wait(within=10)
            held = len(scene.held())
            ended = scene.fault("sessions are ended", scene.terminate)
            scene.took_hold(
                BilingualText("sessions were ended with events in hand", "终止会话时有事件在处理"),
                lambda: ended and held,
                within=0,
            )
        return entities
