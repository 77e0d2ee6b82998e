"""A document larger than the sink takes, among others that are not."""

from uuid import uuid4

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import ENTITY_TYPE, RECOVERED, Scene
from outboxctl.drills.proxy import faults

LIMIT = 64 * 2**10  # bytes of a request
NEIGHBOURS = 40
INNOCENT, OVERSIZED = 2**10, 2 * LIMIT  # bytes of a text: the neighbours fit together, it fits nowhere


class OversizedEvent(Lab):
    """Requests over a limit are answered 413, empty and without a product header, as engines do it."""

    name = "oversized-event"
    title = BilingualText("A document over the sink's limit", "超过下游请求上限的文档")
    question = BilingualText(
        "Does one document that is too large take the batch with it that it is sent in?",
        "一个超大文档会拖累整批事件吗？",
    )
    hypothesis = BilingualText(
        "The batch is halved until the culprit is alone; it fails with payload_too_large, the others are "
        "delivered at the same attempt.",
        "批次不断对半拆分直到只剩超大文档，它以 payload_too_large 进入 failed，其余事件在同一次尝试中投递。",
    )
    settings = {"OUTBOX_BULK_SIZE": "100", "OUTBOX_CONCURRENCY": "1"}
    events = 20
    seconds = 4.0
    by_hand = (
        f"outboxctl chaos proxy --fault too-large --over {LIMIT} --port 9201 --for 60s &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        f"outboxctl inject oversized --bytes {OVERSIZED}",
        "outboxctl failed list",
    )

    def inject(self, scene: Scene) -> None:
        """The large one and small ones, in one transaction: so in one batch."""
        self.large, self.before = uuid4(), scene.proxy.counts.bulks
        scene.fault("a row over the limit among others", lambda: self._insert(scene), scene.proxy.clear)
        scene.took_hold(
            BilingualText("a request of several events was refused with 413", "含多个事件的请求被 413 拒绝"),
            lambda: scene.proxy.counts.by_fault.get("too-large") and self._in_company(scene),
        )

    def observe(self, scene: Scene) -> None:
        """Until all of them are at an end, with the limit still there."""
        scene.expect_soon(RECOVERED, lambda: scene.look().lag == 0)

    def check(self, scene: Scene) -> None:
        """One failed, alone, at once."""
        event = next(each for each in scene.events() if each.entity_id == str(self.large))
        scene.expect(BilingualText("its status", "状态"), "failed", event.status)
        scene.expect(BilingualText("its reason", "error_reason"), "payload_too_large", event.error_reason)
        now = scene.look()
        scene.expect(BilingualText("events failed", "failed 事件数"), 1, now.failed)
        scene.expect(BilingualText("neighbours done", "同批 done 事件数"), scene.written - 1, now.done)
        scene.expect(BilingualText("most attempts", "最大 attempts"), 1, now.attempts_most)
        seen = scene.proxy.counts
        scene.conclude(BilingualText("bytes, and limit", "字节数与上限"), f"{OVERSIZED}, {LIMIT}")
        scene.conclude(
            BilingualText("requests, of them refused", "请求数与被拒数"),
            f"{seen.bulks - self.before}, {seen.struck}",
        )

    def _insert(self, scene: Scene) -> None:
        scene.proxy.set(faults.too_large(LIMIT))
        small = [uuid4() for _ in range(NEIGHBOURS)]
        content = ["x" * OVERSIZED, *["x" * INNOCENT] * NEIGHBOURS]
        scene.write([self.large, *small], content=content)

    def _in_company(self, scene: Scene) -> bool:
        document = f"{ENTITY_TYPE}:{self.large}"
        return any(document in bulk.ids and len(bulk.ids) > 1 for bulk in scene.proxy.recent)
