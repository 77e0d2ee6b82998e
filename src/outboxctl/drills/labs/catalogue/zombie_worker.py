"""A worker that is frozen past its lease, and wakes when others have done its work."""

from signal import SIGCONT, SIGSTOP

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene

BATCH = 10
LONG_LEASE = "60"  # seconds: the second worker still holds its event when the frozen one wakes


class ZombieWorker(Lab):
    """SIGSTOP with a batch under way; others reclaim it, and one of them holds an event of it; SIGCONT."""

    name = "zombie-worker"
    title = BilingualText("A frozen worker wakes too late", "被冻结的 worker 迟到醒来")
    question = BilingualText(
        "Can a worker that was frozen past its lease undo what others have done since?",
        "冻结超过租约的 worker 醒来后，会破坏其他 worker 已完成的工作吗？",
    )
    hypothesis = BilingualText(
        "What it still sends and writes hits nothing: the lease is lost, and no document goes back.",
        "它迟到的写入不命中任何行（lease lost 被计数），也没有文档回退到旧版本。",
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "3",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 50
    seconds = 11.0
    by_hand = (
        "outboxctl inject load --count 10000 --rate 0",
        "OUTBOX_WORKER_ID=w1 outboxctl worker &",
        "outboxctl chaos worker pause --id w1",
        "OUTBOX_METRICS_PORT=9109 outboxctl worker &  # waits for the lease's end",
        "outboxctl chaos worker resume --id w1",
        "outboxctl verify",
    )

    def inject(self, scene: Scene) -> None:
        """Freeze the worker while the sink holds its batch."""
        worker = scene.worker("w1")
        held_up = scene.hold_up("the sink holds the batch of worker w1", "before apply")
        self.entities = scene.load(BATCH)
        scene.wait(lambda: len(scene.held()) == BATCH, within=10 if held_up else 0)
        scene.fault("SIGSTOP to worker w1", lambda: worker.send(SIGSTOP), lambda: worker.send(SIGCONT))
        scene.took_hold(
            BilingualText("it was frozen with a batch in hand", "冻结时它持有一批事件"),
            lambda: worker.frozen and len(scene.held()),
            within=3,
        )
        self.held = scene.held()

    def observe(self, scene: Scene) -> None:
        """One worker holds an event of it, another does the rest and newer versions; then it wakes."""
        scene.worker("w2", OUTBOX_LEASE_SECONDS=LONG_LEASE, OUTBOX_BULK_SIZE="1").start()
        scene.expect_soon(
            BilingualText("another worker holds an event of it", "另一个 worker 持有其中的事件"),
            lambda: {event.owner for event in scene.held()} >= {"w2"},
        )
        scene.write(self.entities)
        scene.worker("w3", direct=True).start()
        scene.expect_soon(
            BilingualText("a third one delivers all others", "第三个 worker 投递了其余事件"),
            lambda: {event.owner for event in scene.events() if event.status != "done"} <= {"w2"},
        )
        self._wake(scene)
        scene.undo()

    def _wake(self, scene: Scene) -> None:
        """What it writes now must hit nothing: neither what is done nor what another holds."""
        before, worker = self._rows(scene), scene.worker("w1")
        worker.send(SIGCONT)
        scene.say("SIGCONT to worker w1")
        lost = scene.wait(lambda: int(worker.metric("outbox_lease_lost_total")))
        scene.expect(
            BilingualText("the late worker finds its lease lost", "迟到的 worker 发现租约已失"),
            len(self.held),
            lost,
        )
        moved = sum(a != b for a, b in zip(before, self._rows(scene), strict=True))
        scene.expect(BilingualText("events that it moved when it woke", "它醒来后改动的事件数"), 0, moved)
        scene.conclude(BilingualText("events in its hands when frozen", "冻结时持有的事件"), len(self.held))
        scene.conclude(BilingualText("lease lost", "lease lost 计数"), lost)

    def check(self, scene: Scene) -> None:
        """What was late at the sink took no document back, and each event was counted once."""
        versions = set(scene.versions(self.entities))
        scene.expect(BilingualText("versions in the index", "索引中的版本"), {2}, versions)
        scene.expect(
            BilingualText("processed, by all workers' metrics", "全部 worker 的 processed 指标之和"),
            scene.written,
            int(scene.metric("outbox_processed_total")),
        )

    def _rows(self, scene: Scene) -> list[object]:
        return list(scene.events([event.id for event in self.held]))
