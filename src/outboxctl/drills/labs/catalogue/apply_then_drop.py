"""A request that the sink applied, and whose answer never came."""

from itertools import pairwise

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.drills.proxy import faults

ENTITIES = 20


class ApplyThenDrop(Lab):
    """Every bulk request is applied, then its connection is closed without an answer."""

    name = "apply-then-drop"
    title = BilingualText("Applied, and the answer lost", "已写入但响应丢失")
    question = BilingualText(
        "Does sending again what was perhaps applied do harm, or not sending it lose something?",
        "结果未知的请求，重发会造成损害吗？不重发会丢失吗？",
    )
    hypothesis = BilingualText(
        "The outcome is unknown, so the events are retried (connection_lost); a version that is there "
        "already is no conflict, no document goes back to an older one, and each event is done once.",
        "结果未知即重试（connection_lost）；相同版本重复写入不冲突，文档版本不回退，每个事件只 done 一次。",
    )
    settings = {
        "OUTBOX_BULK_SIZE": f"{ENTITIES}",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.5",
        "OUTBOX_MAX_ATTEMPTS": "50",
    }
    events = 20
    seconds = 6.0
    by_hand = (
        "outboxctl chaos proxy --fault drop-after --port 9201 --for 20s &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --count 20",
        "outboxctl status  # pending, error_reason connection_lost",
        "outboxctl verify",
    )

    def inject(self, scene: Scene) -> None:
        """Write rows, and write them again while their first events are still not done."""
        self.seen: list[list[int | None]] = []
        scene.fault(
            "bulk requests applied, their answers lost",
            lambda: scene.proxy.set(faults.drop_after()),
            scene.proxy.clear,
        )
        self.entities = scene.load(ENTITIES)
        scene.took_hold(
            BilingualText("requests were applied and their answers lost", "请求已写入而响应丢失"),
            lambda: scene.proxy.counts.applied_then_lost,
        )

    def observe(self, scene: Scene) -> None:
        """Until the index holds both writes, one after the other, and nobody knows of it."""
        self._see(scene, 1)
        scene.write(self.entities)
        self._see(scene, 2)
        waiting = scene.expect_soon(
            BilingualText("their events are retried", "相应事件等待重试"),
            lambda: scene.worker("w1").metric("outbox_retry_scheduled_total", reason="connection_lost"),
            unless=lambda: scene.look().lag == 0,
        )
        scene.expect(BilingualText("of them done", "其中已 done"), 0, scene.look().done - self.events)
        scene.conclude(BilingualText("retries scheduled", "安排的重试次数"), int(waiting))

    def check(self, scene: Scene) -> None:
        """No document went back, and no event was done twice."""
        self.seen.append(scene.versions(self.entities))
        back = sum(
            (later or 0) < (sooner or 0)
            for before, after in pairwise(self.seen)
            for sooner, later in zip(before, after, strict=True)
        )
        scene.expect(BilingualText("documents that went back", "版本回退的文档数"), 0, back)
        newest = self.seen[-1].count(2)
        scene.expect(BilingualText("documents at their newest version", "最新版本的文档数"), ENTITIES, newest)
        now = scene.look()
        scene.expect(BilingualText("events failed", "failed 事件数"), 0, now.failed)
        counted = int(scene.worker("w1").metric("outbox_processed_total"))
        scene.expect(BilingualText("counted as processed", "outbox_processed_total"), scene.written, counted)
        lost = scene.proxy.counts.applied_then_lost
        scene.conclude(BilingualText("requests applied without an answer", "已写入而无响应的请求数"), lost)

    def _see(self, scene: Scene, version: int) -> None:
        scene.expect_soon(
            BilingualText(f"the index holds version {version}", f"索引中已有版本 {version}"),
            lambda: min(found or 0 for found in scene.versions(self.entities)) >= version,
        )
        self.seen.append(scene.versions(self.entities))
