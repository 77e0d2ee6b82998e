"""A second worker joins under load."""

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene


class TwoWorkers(Lab):
    """While the sink is slow and a backlog waits, another worker is started beside the first."""

    name = "two-workers"
    title = BilingualText("Two workers share the work", "两个 worker 分担工作")
    question = BilingualText(
        "Does a second worker help, or deliver what the first has in hand?",
        "第二个 worker 是分担工作，还是重复投递第一个正在处理的事件？",
    )
    hypothesis = BilingualText(
        "Both take part, and no event is claimed or counted twice.",
        "两者分担，且没有事件被重复领取或计数。",
    )
    settings = {"OUTBOX_LEASE_SECONDS": "60", "OUTBOX_BULK_SIZE": "20", "OUTBOX_CONCURRENCY": "1"}
    events = 20
    seconds = 6.0
    by_hand = (
        "outboxctl inject load --count 100000 --rate 0",
        "OUTBOX_WORKER_ID=w1 outboxctl worker &",
        "OUTBOX_WORKER_ID=w2 OUTBOX_METRICS_PORT=9109 outboxctl worker &",
        "outboxctl status  # both under `workers`",
        "curl -s localhost:9108/metrics localhost:9109/metrics | grep outbox_processed_total",
    )

    def inject(self, scene: Scene) -> None:
        """The second comes while the first has a batch in hand and more is waiting."""
        with scene.proxy.hold("before apply"):
            scene.load(300)
            scene.fault("a second worker joins under load", scene.worker("w2").start)
            scene.took_hold(
                BilingualText("the second worker runs", "第二个 worker 在运行"),
                lambda: scene.worker("w2").running and scene.look().lag,
                within=3,
            )
            scene.expect_soon(
                BilingualText("both have events in hand at once", "两者同时持有事件"),
                lambda: {event.owner for event in scene.held()} >= {"w1", "w2"},
            )

    def check(self, scene: Scene) -> None:
        """One claim and one count for each event."""
        now = scene.look()
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, now.done)
        scene.expect(BilingualText("claims of all events", "领取次数之和"), scene.written, now.attempts)
        scene.expect(
            BilingualText("processed, by both workers' metrics", "两个 worker 的 processed 指标之和"),
            scene.written,
            scene.metric("outbox_processed_total"),
        )
        for name, worker in scene.workers.items():
            done = worker.metric("outbox_processed_total")
            scene.conclude(BilingualText(f"processed by {name}", f"{name} 处理"), f"{done:g}")
