"""The same events delivered twice: the worker dies between the sink's yes and its own note of it."""

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.sink.index import index_setup

BATCH = 20


class DuplicateDelivery(Lab):
    """SIGKILL once the sink has applied a batch and before the worker has settled it."""

    name = "duplicate-delivery"
    title = BilingualText("Delivered twice, there once", "重复投递，结果唯一")
    question = BilingualText(
        "What becomes of a batch that was applied, but whose worker died before it could note that?",
        "批次已写入索引但 worker 未及记录就死亡，会怎样？",
    )
    hypothesis = BilingualText(
        "It is delivered again and changes nothing: one document an entity, at the row's version.",
        "它会被再次投递且结果不变：每个实体一个文档，版本与源行一致（幂等）。",
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "4",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 40
    seconds = 11.0
    by_hand = (
        "outboxctl chaos proxy --fault delay --applied --seconds 20 --port 9201 &",
        "outboxctl inject load --count 20",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &  # then: kill -9 %2",
        "outboxctl worker",
        "outboxctl verify",
    )

    def inject(self, scene: Scene) -> None:
        """Kill it while the sink's answer is on its way."""
        worker = scene.worker("w1")
        with scene.proxy.hold("after apply"):
            self.entities = scene.load(BATCH)
            scene.wait(lambda: all(scene.versions(self.entities)), within=10)
            scene.fault("SIGKILL to worker w1 after the sink has applied its batch", worker.kill)
            scene.took_hold(
                BilingualText("applied, not settled, and the worker is gone", "已写入但未结算，worker 已死"),
                lambda: not worker.running and all(scene.versions(self.entities)) and len(scene.held()),
                within=3,
            )
            self.held = scene.held()

    def observe(self, scene: Scene) -> None:
        """The next worker delivers it again."""
        scene.worker("w1").start()
        scene.recovered()
        scene.took_hold(
            BilingualText("the sink was sent all of it again", "同一批文档被再次发送"),
            lambda: min(scene.times_sent(self.entities)) > 1,
            within=3,
        )

    def check(self, scene: Scene) -> None:
        """As if it had been delivered once."""
        scene.expect(
            BilingualText("versions in the index", "索引中的版本"), {1}, set(scene.versions(self.entities))
        )
        documents = index_setup.count(scene.client, scene.settings.elastic_index)
        scene.expect(BilingualText("documents", "文档数"), self.events + BATCH, documents)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, scene.look().done)
        scene.expect(
            BilingualText("processed by the second worker", "第二个 worker 的 processed 指标"),
            len(self.held),
            scene.metric("outbox_processed_total"),
        )
        scene.conclude(BilingualText("events delivered twice", "重复投递的事件"), len(self.held))
