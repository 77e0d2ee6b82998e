"""An outage under the policy `hold`: it costs no event an attempt."""

from outboxctl.domain import backoff
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import READY, Scene
from outboxctl.drills.proxy import faults
from outboxctl.drills.proxy.tally import Bulk

ATTEMPTS = 3
PROBES = ATTEMPTS + 3  # requests refused: more than any event has attempts
UNREADY = 503


class OutageHold(Lab):
    """Every bulk request is answered 503 for longer than the attempts would last."""

    name = "outage-hold"
    title = BilingualText("An outage that burns no attempts (hold)", "故障期间不消耗尝试次数（hold）")
    question = BilingualText(
        "Does an outage that lasts longer than the attempts fail the events?",
        "故障时间超过尝试次数所能支撑的时长时，事件会变成 failed 吗？",
    )
    hypothesis = BilingualText(
        "Under hold the circuit opens, single events probe the sink, attempts are given back, /readyz says "
        "503; when the sink is back everything is delivered at its first attempt, by itself.",
        "hold 策略下熔断打开，用单个事件探测，尝试次数退还，/readyz 返回 503；下游恢复后全部以首次尝试投递。",
    )
    settings = {
        "OUTBOX_OUTAGE_POLICY": "hold",
        "OUTBOX_MAX_ATTEMPTS": f"{ATTEMPTS}",
        "OUTBOX_BULK_SIZE": "50",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.4",
    }
    events = 50
    seconds = 6.0
    by_hand = (
        "outboxctl chaos proxy --fault unavailable --port 9201 --for 30s &",
        "OUTBOX_OUTAGE_POLICY=hold ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --count 200",
        "curl -s localhost:9108/readyz",
        "outboxctl status --watch 1",
    )

    def inject(self, scene: Scene) -> None:
        """Four batches' worth of events for a sink that takes none."""
        self.before = scene.proxy.counts.bulks
        scene.fault(
            "503 to every bulk request",
            lambda: scene.proxy.set(faults.unavailable()),
            scene.proxy.clear,
        )
        scene.load(200)
        scene.took_hold(
            BilingualText("requests were answered 503", "有请求得到 503"),
            lambda: scene.proxy.counts.by_fault.get("unavailable"),
        )

    def observe(self, scene: Scene) -> None:
        """Until more requests were refused than an event has attempts."""
        scene.expect_soon(
            BilingualText("/readyz says 503 and why", "/readyz 返回 503 并说明原因"),
            lambda: self._unready(scene),
            within=10,
            unless=lambda: scene.look().lag == 0,
        )
        scene.expect_soon(
            BilingualText("it goes on probing", "持续探测下游"),
            lambda: len(self._sizes(scene)) >= PROBES,
            within=10,
            unless=lambda: scene.look().lag == 0,
        )
        self.sizes = self._sizes(scene)
        self._paused(scene)
        scene.expect(
            BilingualText("events failed meanwhile", "故障期间 failed 事件数"), 0, scene.look().failed
        )

    def check(self, scene: Scene) -> None:
        """Nothing was burnt, and it is ready again without anybody's help."""
        now = scene.look()
        scene.expect(BilingualText("most attempts", "最大 attempts"), 1, now.attempts_most)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, now.done)
        scene.expect(BilingualText("largest probe", "探测的最大批量"), 1, max(self.sizes[1:], default=0))
        scene.expect_soon(
            BilingualText("/readyz says 200 again", "/readyz 恢复 200"),
            lambda: scene.worker("w1").get("/readyz")[0] == READY,
            within=10,
        )
        ended = scene.record.windows[-1].ended or 0.0
        scene.conclude(
            BilingualText("the outage lasted", "故障时长"), f"{ended - scene.record.windows[-1].began:.1f} s"
        )
        scene.conclude(
            BilingualText("requests refused, attempts allowed", "被拒请求数与尝试上限"),
            f"{len(self.sizes)}, {ATTEMPTS}",
        )

    def _paused(self, scene: Scene) -> None:
        """No more requests than the breaker's shortest pauses, growing ones, leave time for."""
        s, times = scene.settings, [bulk.at for bulk in self._refused(scene)]
        least = backoff.survives(len(times), base=s.base_backoff_seconds, cap=s.max_backoff_seconds)
        took = max(times) - min(times)
        scene.expect(
            BilingualText("probes keep their pauses", "探测之间有间隔"),
            f"{len(times)} requests in at least {least:.2f} s",
            f"in {took:.2f} s",
            met=took >= least,
        )

    def _unready(self, scene: Scene) -> bool:
        status, why = scene.worker("w1").get("/readyz")
        return status == UNREADY and "circuit open" in why

    def _sizes(self, scene: Scene) -> list[int]:
        return [len(bulk.ids) for bulk in self._refused(scene)]

    def _refused(self, scene: Scene) -> list[Bulk]:
        return [bulk for bulk in scene.proxy.recent if bulk.number >= self.before]
