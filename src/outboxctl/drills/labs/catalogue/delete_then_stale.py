"""An upsert that is held up on its way to the sink, and arrives after the entity was deleted."""

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText, Need
from outboxctl.drills.labs.scene import Scene

BATCH = 10


class DeleteThenStale(Lab):
    """One worker's request waits before the sink while another worker delivers the delete."""

    name = "delete-then-stale"
    title = BilingualText("What is deleted does not come back", "已删除的不会复活")
    question = BilingualText(
        "Does an upsert that arrives after the delete bring the document back?",
        "删除之后才到达的 upsert 会让文档复活吗？",
    )
    hypothesis = BilingualText(
        "The index remembers the delete (a tombstone) and refuses the older upsert; its event is done.",
        "索引记得这次删除（tombstone）并拒绝更旧的 upsert；该事件以 superseded 进入 done。",
    )
    # An imitation keeps no tombstones.
    needs = frozenset({Need.REAL_ENGINE})
    settings = {"OUTBOX_LEASE_SECONDS": "60", "OUTBOX_BULK_SIZE": str(BATCH), "OUTBOX_CONCURRENCY": "1"}
    events = 20
    seconds = 6.0
    by_hand = (
        "outboxctl chaos proxy --fault delay --seconds 15 --port 9201 &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --scenario update --total 10",
        "outboxctl inject load --scenario delete --total 10",
        "OUTBOX_METRICS_PORT=9109 outboxctl worker &  # straight to the sink",
        "outboxctl verify",
    )

    def prepare(self, scene: Scene) -> None:
        """A load, of which some will be deleted."""
        self.entities = scene.load(self.events)[:BATCH]
        scene.worker("w1").start()

    def inject(self, scene: Scene) -> None:
        """Second versions are under way and held up; meanwhile their rows are deleted."""
        held_up = scene.hold_up("the upserts are held up before the sink", "before apply")
        scene.write(self.entities)
        scene.took_hold(
            BilingualText("upserts are under way", "upsert 正在途中"),
            lambda: held_up and len(scene.held()) == BATCH,
            within=10 if held_up else 0,
        )
        scene.delete(self.entities)
        scene.worker("w2", direct=True).start()
        scene.took_hold(
            BilingualText("the deletes came first", "delete 先到达"),
            lambda: not any(scene.versions(self.entities)) and len(scene.held()),
        )

    def observe(self, scene: Scene) -> None:
        """The upserts arrive at last."""
        scene.undo()
        scene.expect_soon(
            BilingualText("the late upserts are settled", "迟到的 upsert 已结算"), lambda: not scene.held()
        )

    def check(self, scene: Scene) -> None:
        """None is back, and that is no error of any event."""
        back = [version for version in scene.versions(self.entities) if version is not None]
        scene.expect(BilingualText("documents that came back", "复活的文档"), 0, len(back))
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, scene.look().done)
        noops = scene.worker("w1").metric("outbox_idempotent_noop_total")
        scene.expect(
            BilingualText("upserts that met a newer version", "被更新版本取代的 upsert（superseded）"),
            BATCH,
            noops,
        )
        scene.conclude(BilingualText("late upserts", "迟到的 upsert"), BATCH)
        scene.conclude(BilingualText("documents that came back", "复活的文档"), len(back))
