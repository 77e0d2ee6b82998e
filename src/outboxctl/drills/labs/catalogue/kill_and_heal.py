"""Lab 1 of the document: a worker that dies leaves nothing hanging for ever."""

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene


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

    def inject(self, scene: Scene) -> None:
        """Kill the worker while a batch is under way: the sink holds it until then."""
        worker = scene.worker("w1")
        with scene.proxy.hold("before apply"):
            scene.load(200)
            scene.wait(lambda: scene.look().processing, within=10)
            scene.fault("SIGKILL to worker w1", worker.kill)
        self.held = scene.took_hold(
            BilingualText("events were processing at the kill", "kill 时有 processing 事件"),
            lambda: not worker.running and scene.look().processing,
            within=3,
        )

    def observe(self, scene: Scene) -> None:
        """Wait until the dead worker's leases are over."""
        scene.expect_soon(
            BilingualText("stuck rises above 0", "stuck 计数短暂 >0"), lambda: scene.look().stuck, within=20
        )

    def undo(self, scene: Scene) -> None:
        """Start the worker again."""
        scene.undo()
        if not scene.worker("w1").running:
            scene.worker("w1").start()

    def check(self, scene: Scene) -> None:
        """What section 4.4 expects of the table, the log and the metrics."""
        worker, now = scene.worker("w1"), scene.look()
        scene.expect(BilingualText("stuck in the end", "最终 stuck"), 0, now.stuck)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, now.done)
        reclaimed = worker.reclaimed()
        scene.expect(
            BilingualText("the log tells of the reclaim", "日志出现 reclaim 记录"),
            f"{self.held} reclaimed",
            f"{reclaimed} reclaimed",
            met=reclaimed >= self.held,
        )
        scene.expect_soon(
            BilingualText(
                "outbox_stuck_processing_events is back to 0", "outbox_stuck_processing_events 回落到 0"
            ),
            lambda: (
                "outbox_stuck_processing_events" in worker.get("/metrics")[1]
                and worker.metric("outbox_stuck_processing_events") == 0
            ),
            within=5,
        )
        processed = worker.metric("outbox_processed_total")
        scene.expect(
            BilingualText("outbox_processed_total goes on growing", "outbox_processed_total 继续增长"),
            f"at least {self.held:g} since the restart",
            f"{processed:g}",
            met=processed >= self.held,
        )
        self._conclude(scene)

    def _conclude(self, scene: Scene) -> None:
        s = scene.settings
        scene.conclude(
            BilingualText("parameters", "参数"),
            f"lease={s.lease_seconds:g}s, reclaim_interval={s.reclaim_interval_seconds:g}s, "
            f"max_processing={s.max_processing_seconds:g}s",
        )
        scene.conclude(BilingualText("processing at the kill, about", "kill 时 processing 约为"), self.held)
        scene.conclude(
            BilingualText("stuck back to zero after the restart", "重启后 stuck 是否归零"),
            scene.look().stuck == 0,
        )
