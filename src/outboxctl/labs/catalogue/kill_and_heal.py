"""Lab 1 of the document: a worker that dies leaves nothing hanging for ever."""

from outboxctl.labs.lab import Lab
from outboxctl.labs.model import Words
from outboxctl.labs.scene import Scene


class KillAndHeal(Lab):
    """SIGKILL while events are processing; the next worker reclaims them."""

    name = "kill-and-heal"
    number = 1
    title = Words("A killed worker heals itself", "Kill worker 后自动自愈（reclaim）")
    question = Words(
        "Do events that a dead worker held hang for ever?", "worker 半路死亡后，它持有的事件会永久悬空吗？"
    )
    hypothesis = Words(
        "They are stuck until their lease ends; then the next worker reclaims and delivers them.",
        "租约到期前它们处于 stuck 状态，随后下一个 worker 将其回收并投递，stuck 归零。",
    )
    # The document's own (section 4.2).
    settings = {
        "OUTBOX_LEASE_SECONDS": "10",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "2",
        "OUTBOX_MAX_PROCESSING_SECONDS": "60",
        "OUTBOX_BULK_SIZE": "50",
        "OUTBOX_CONCURRENCY": "1",
    }
    seconds = 20.0
    by_hand = (
        "outboxctl inject load --count 800",
        "outboxctl worker &  # then: kill -9 %1",
        "outboxctl stuck",
        "outboxctl worker",
        "outboxctl status",
    )

    def inject(self, scene: Scene) -> None:
        """Kill the worker while a batch is under way: the sink holds it until then."""
        worker = scene.worker("w1")
        with scene.proxy.hold("before apply"):
            scene.load(800)
            scene.wait(lambda: scene.look().processing, within=10)
            scene.fault("SIGKILL to worker w1", worker.kill)
        self.held = scene.took_hold(
            Words("events were processing at the kill", "kill 时有 processing 事件"),
            lambda: not worker.running and scene.look().processing,
            within=3,
        )

    def observe(self, scene: Scene) -> None:
        """Wait until the dead worker's leases are over."""
        self.stuck = scene.expect_soon(
            Words("stuck rises above 0", "stuck 计数大于 0"), lambda: scene.look().stuck, within=15
        )

    def undo(self, scene: Scene) -> None:
        """Start the worker again."""
        scene.undo()
        scene.worker("w1").start()

    def check(self, scene: Scene) -> None:
        """Everything is done, and the log says what was reclaimed."""
        worker, now = scene.worker("w1"), scene.look()
        reclaimed = worker.reclaimed()
        scene.expect(Words("stuck in the end", "最终 stuck"), 0, now.stuck)
        scene.expect(Words("events done", "done 事件数"), scene.written, now.done)
        scene.expect(
            Words("the log tells of the reclaim", "日志中有 reclaim 记录"),
            f"{self.held} reclaimed",
            f"{reclaimed} reclaimed",
            met=reclaimed >= self.held,
        )
        settings = scene.settings
        scene.conclude(
            Words("parameters", "参数"),
            f"lease={settings.lease_seconds:g}s, reclaim_interval={settings.reclaim_interval_seconds:g}s, "
            f"max_processing={settings.max_processing_seconds:g}s",
        )
        scene.conclude(Words("processing at the kill, about", "kill 时 processing 约为"), self.held)
        scene.conclude(
            Words("stuck is back to zero after the restart", "重启后 stuck 是否归零"), now.stuck == 0
        )
