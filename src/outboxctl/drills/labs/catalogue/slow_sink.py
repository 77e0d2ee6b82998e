"""A sink that answers later than a lease lasts."""

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.drills.proxy import faults

LEASE = 4.0
PACE = 0.05  # seconds a byte of the answer: thousands of them take minutes, and no read is ever silent
BATCH = 40


class SlowSink(Lab):
    """Answers drip in for minutes, while a second worker waits for anything that is free."""

    name = "slow-sink"
    title = BilingualText("A sink slower than the lease", "下游响应慢于租约")
    question = BilingualText(
        "Does a sink that answers too late make two workers send the same events?",
        "下游响应过慢时，同一事件会被两个 worker 同时处理吗？",
    )
    hypothesis = BilingualText(
        "The worker gives a request up at three quarters of the lease and puts the events back itself, with "
        "the reason timeout: no lease ends, nobody reclaims, and nothing is lost.",
        "worker 在租约的四分之三处放弃请求并自行退回事件（error_reason 为 timeout）："
        "租约不会到期，无人 reclaim，事件不丢失。",
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": f"{LEASE:g}",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.2",
        "OUTBOX_BULK_SIZE": f"{BATCH}",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.5",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    }
    events = 20
    seconds = 7.0
    by_hand = (
        f"outboxctl chaos proxy --fault drip --pace {PACE:g} --port 9201 --for 30s &",
        f"export OUTBOX_LEASE_SECONDS={LEASE:g} ELASTIC_URL=http://127.0.0.1:9201",
        "outboxctl worker --metrics-port 9108 & outboxctl worker --metrics-port 9109 &",
        "outboxctl inject load --count 40",
        "outboxctl stuck",
        "outboxctl status",
    )

    def prepare(self, scene: Scene) -> None:
        """Two workers."""
        super().prepare(scene)
        scene.worker("w2").start()

    def inject(self, scene: Scene) -> None:
        """One batch into a sink that takes its time."""
        scene.fault(
            f"every bulk request is answered a byte each {PACE:g} s",
            lambda: scene.proxy.set(faults.drip(PACE)),
            scene.proxy.clear,
        )
        scene.load(BATCH)
        scene.took_hold(
            BilingualText("a request is held up", "有请求被拖慢"),
            lambda: scene.proxy.counts.by_fault.get("drip"),
        )

    def observe(self, scene: Scene) -> None:
        """Until the worker has given up by itself, or somebody else has taken the events from it."""
        scene.wait(lambda: self._timeouts(scene) >= BATCH or self._taken(scene), within=4 * LEASE)
        scene.expect(
            BilingualText("events put back with timeout", "以 timeout 退回的事件数"),
            f"at least {BATCH}",
            self._timeouts(scene),
            met=self._timeouts(scene) >= BATCH,
        )

    def check(self, scene: Scene) -> None:
        """No event had two holders."""
        scene.expect(
            BilingualText("events reclaimed or lost to another", "被 reclaim 或租约丢失的事件数"),
            0,
            self._taken(scene),
        )
        stuck = max((sample.look.stuck for sample in scene.record.samples), default=0)
        scene.expect(BilingualText("most events stuck", "stuck 最大值"), 0, stuck)
        now = scene.look()
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, now.done)
        scene.conclude(
            BilingualText("lease, and time a byte of the answer took", "租约与响应每字节耗时"),
            f"{LEASE:g} s, {PACE:g} s",
        )
        scene.conclude(BilingualText("most attempts", "最大 attempts"), now.attempts_most)

    def _timeouts(self, scene: Scene) -> int:
        return int(scene.metric("outbox_retry_scheduled_total", reason="timeout"))

    def _taken(self, scene: Scene) -> int:
        return int(scene.metric("outbox_reclaimed_total") + scene.metric("outbox_lease_lost_total"))
