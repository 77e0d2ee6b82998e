"""A bulk request that succeeds, and of which some items do not."""

from collections import Counter

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.drills.proxy import faults

SHARE = 0.3
AGAIN = 10  # refused events that must have been sent again before the fault ends


class EsBulkPartial(Lab):
    """Three items in ten are refused inside an answer that is 200."""

    name = "es-bulk-partial"
    title = BilingualText("Some items of a bulk request are refused", "bulk 部分失败")
    question = BilingualText(
        "Is an item that was refused inside a 200 noticed, and is only that one sent again?",
        "HTTP 200 中被拒绝的条目会被发现吗？是否只重试这些条目？",
    )
    hypothesis = BilingualText(
        "What was refused is retried until it is taken; what was taken is done and never sent again.",
        "被拒绝的条目一直重试到成功，其余条目直接 done，且不会重复发送。",
    )
    settings = {
        "OUTBOX_BULK_SIZE": "100",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "1",
        "OUTBOX_MAX_ATTEMPTS": "20",
    }
    events = 50
    seconds = 6.0
    by_hand = (
        f"outboxctl chaos proxy --fault some-items --share {SHARE} --port 9201 --for 20s &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --count 200",
        "outboxctl status  # attempts and error_reason of the oldest pending",
    )

    def inject(self, scene: Scene) -> None:
        """The same items each time: which ones, their ids decide."""
        self.fault, self.before = faults.some_items(SHARE), scene.proxy.counts.bulks
        scene.fault(
            f"{SHARE:.0%} of the items refused with 429",
            lambda: scene.proxy.set(self.fault),
            scene.proxy.clear,
        )
        scene.load(200)
        scene.took_hold(
            BilingualText("items were refused", "有条目被拒绝"), lambda: scene.proxy.counts.items_failed
        )

    def observe(self, scene: Scene) -> None:
        """Until some of them have been sent again."""
        scene.expect_soon(
            BilingualText("refused items are sent again", "被拒绝的条目会重试"),
            lambda: sum(times > 1 for times in self._sent(scene).values()) >= AGAIN,
            within=10,
            unless=lambda: scene.look().lag == 0,
        )
        reasons = {event.error_reason for event in scene.events() if event.error_reason}
        scene.expect(
            BilingualText("their reason", "error_reason"), "rate_limited", ", ".join(sorted(reasons))
        )

    def check(self, scene: Scene) -> None:
        """Each one taken once, and counted once."""
        sent, now = self._sent(scene), scene.look()
        refused = {id_ for id_ in sent if self._refuses(id_)}
        twice = [id_ for id_, times in sent.items() if times > 1 and id_ not in refused]
        scene.expect(
            BilingualText("events that were taken and sent again", "成功后又被重复发送的事件数"),
            0,
            len(twice),
        )
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, now.done)
        counted = scene.worker("w1").metric("outbox_processed_total")
        scene.expect(
            BilingualText("counted as processed", "outbox_processed_total"), scene.written, int(counted)
        )
        scene.conclude(
            BilingualText("items refused at first", "首次被拒绝的条目"), f"{len(refused)} / {len(sent)}"
        )
        scene.conclude(BilingualText("most attempts", "最大 attempts"), now.attempts_most)

    def _sent(self, scene: Scene) -> Counter[str]:
        """How often each document was sent since the fault began."""
        bulks = [bulk for bulk in scene.proxy.recent if bulk.number >= self.before]
        return Counter(id_ for bulk in bulks for id_ in bulk.ids)

    def _refuses(self, id_: str) -> bool:
        return bool(self.fault.items and self.fault.items(id_))
