"""A sink that is overloaded and says when to come again."""

from itertools import pairwise

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.drills.proxy import faults
from outboxctl.drills.proxy.tally import Bulk

ASKED = 60  # seconds: far more than the longest backoff, so that the cap shows
BACKOFF = 1.0
VISITS = 3  # requests until it is well again


class Es429(Lab):
    """Every bulk request is refused with 429 and a Retry-After."""

    name = "es-429"
    title = BilingualText("An overloaded sink is given time (429)", "下游过载（429）时主动让路")
    question = BilingualText(
        "Does the worker press on a sink that says it has no room?",
        "下游明确表示过载时，worker 会继续猛压吗？",
    )
    hypothesis = BilingualText(
        "It waits as long as it is told to, but no longer than the longest backoff, comes back with less, "
        "fails nothing, and delivers everything once there is room.",
        "它按 Retry-After 等待（以最大 backoff 为上限），回来时减小批量，不产生 failed，恢复后全部投递。",
    )
    settings = {
        "OUTBOX_BULK_SIZE": "40",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
        "OUTBOX_MAX_BACKOFF_SECONDS": f"{BACKOFF:g}",
    }
    events = 40
    seconds = 8.0
    by_hand = (
        f"outboxctl chaos proxy --fault busy --retry-after {ASKED} --port 9201 --for 30s &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --count 200",
        "curl -s localhost:9108/metrics | grep inflight_limit",
        "outboxctl status --watch 1",
    )

    def inject(self, scene: Scene) -> None:
        """Five batches' worth of events for a sink that has no room."""
        self.before = scene.proxy.counts.bulks
        scene.fault(
            f"429 with Retry-After: {ASKED} to every bulk request",
            lambda: scene.proxy.set(faults.busy(ASKED)),
            scene.proxy.clear,
        )
        scene.load(200)
        scene.took_hold(
            BilingualText("requests were refused", "有请求被 429 拒绝"),
            lambda: scene.proxy.counts.by_fault.get("busy"),
        )

    def observe(self, scene: Scene) -> None:
        """Until it has come back twice: at once, if it did not care."""
        scene.expect_soon(
            BilingualText(
                "it does not stay away for the whole Retry-After", "不会按过长的 Retry-After 一直等待"
            ),
            lambda: len(self._refused(scene)) >= VISITS,
            within=ASKED / 4,
        )
        self.refused = self._refused(scene)

    def check(self, scene: Scene) -> None:
        """Pauses between its requests, smaller ones, and nothing lost by it."""
        times, sizes = [bulk.at for bulk in self.refused], [len(bulk.ids) for bulk in self.refused]
        pause = min((later - sooner for sooner, later in pairwise(times)), default=0.0)
        scene.expect(
            BilingualText("shortest pause between two requests", "相邻请求的最短间隔"),
            f"at least {BACKOFF:g} s",
            f"{pause:.2f} s",
            met=pause >= BACKOFF,
        )
        scene.expect(
            BilingualText("it comes back with less", "再次请求时批量减小"),
            f"fewer than {sizes[0]} events",
            f"{sizes[-1]} events",
            met=sizes[-1] < sizes[0],
        )
        now = scene.look()
        scene.expect(BilingualText("events failed", "failed 事件数"), 0, now.failed)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, now.done)
        scene.conclude(
            BilingualText("Retry-After, and pause kept", "Retry-After 与实际间隔"),
            f"{ASKED} s, {pause:.2f} s",
        )
        scene.conclude(BilingualText("events a request", "每个请求的事件数"), ", ".join(map(str, sizes)))

    def _refused(self, scene: Scene) -> list[Bulk]:
        return [bulk for bulk in scene.proxy.recent if bulk.number >= self.before]
