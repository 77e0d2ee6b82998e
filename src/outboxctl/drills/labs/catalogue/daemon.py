"""Lab 6 of the document: what makes a worker a daemon that can be run for long."""

import signal

from outboxctl.core.operator import moves, selection
from outboxctl.core.operator.selection import Selection
from outboxctl.drills.labs import alerts, outage
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene

CAUGHT, BATCH, BACKLOG = 60, 50, 200
OK = 200
SOON_SECONDS = 15.0
# Of two workers, one of which stands still: the other must see that, and not mend it at once.
NEXT, LEASE, RECLAIM_INTERVAL = ("w2", "w3"), "3", "30"


class DaemonLab(Lab):
    """Probes and alerts while the sink is away and a worker hangs; SIGTERM in the middle of a batch."""

    name = "daemon"
    number = 6
    title = BilingualText("A daemon: stopping, health, alerts", "daemon 运行时工程化（v4）")
    question = BilingualText(
        "Does the worker stop without leaving anything behind, and do probes and alerts tell the truth?",
        "SIGTERM 能否 graceful shutdown？/healthz、/readyz 与报警阈值是否如实反映？",
    )
    hypothesis = BilingualText(
        "SIGTERM stops claiming, the batch in flight ends, exit code 0; /healthz stays 200 while /readyz "
        "says 503 and why; each alert fires when it should, and none when all is well.",
        "SIGTERM 后停止 claim，处理完当前批次，退出码 0；/healthz 保持 200，/readyz 返回 503 并说明原因；"
        "三类报警按阈值触发，正常时不误报。",
    )
    settings = {
        "OUTBOX_MAX_ATTEMPTS": "5",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.3",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.6",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "1",
        "OUTBOX_BULK_SIZE": f"{BATCH}",
        "OUTBOX_CONCURRENCY": "1",
    }
    seconds = 15.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl chaos es stop",
        "outboxctl inject load --total 60 --rate 0",
        "curl -s -i http://localhost:9108/healthz",
        "curl -s -i http://localhost:9108/readyz",
        "outboxctl check --max-oldest-age 0.5 --max-failed-growth 0",
        "outboxctl chaos es start",
        "outboxctl inject load --total 50000 --rate 0 --per-transaction 500",
        "kill -TERM %1; wait %1; echo $?",
        "outboxctl status  # nothing is left processing",
    )
    judged = BilingualText("v4 fit to run as a daemon:", "v4 daemon 运行时")

    def inject(self, scene: Scene) -> None:
        """When all is well no alert fires; then the sink goes away and events fail."""
        alerts.silent(scene)
        outage.refuse(scene)
        scene.load(CAUGHT)

    def observe(self, scene: Scene) -> None:
        """Three troubles, one after the other."""
        self._away(scene)
        scene.undo()
        self.ready = scene.expect_soon(
            BilingualText("/readyz is 200 once the sink is back", "ES 恢复后 /readyz 回到 200"),
            lambda: scene.worker("w1").get("/readyz")[0] == OK,
            within=SOON_SECONDS,
        )
        self._mended(scene)
        self._terminated(scene)
        self._hangs(scene)

    def check(self, scene: Scene) -> None:
        """Everything was delivered, and no alert is left."""
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, scene.look().done)
        alerts.silent(scene)
        scene.conclude(BilingualText("SIGTERM: exit code", "SIGTERM 退出码"), self.code)
        scene.conclude(BilingualText("the batch in flight was finished", "当前批次是否处理完"), self.finished)
        scene.conclude(
            BilingualText("/readyz tells the truth", "/readyz 是否如实"), bool(self.unready and self.ready)
        )
        scene.conclude(BilingualText("alerts fire", "报警是否触发"), ", ".join(self.fired))

    # Troubles.

    def _away(self, scene: Scene) -> None:
        worker = scene.worker("w1")
        self.fired: list[str] = []
        self._fires(scene, "oldest")
        self.unready = scene.expect_soon(
            BilingualText("/readyz is 503 and names the sink", "ES 不可用时 /readyz 返回 503 并指明 sink"),
            lambda: "sink" in worker.failing(),
            within=SOON_SECONDS,
        )
        health = worker.get("/healthz")[0]
        scene.expect(BilingualText("/healthz stays 200", "/healthz 保持 200"), OK, health)
        scene.took_hold(
            BilingualText("events fail for good", "事件进入终态 failed"),
            lambda: scene.look().failed,
            SOON_SECONDS,
        )
        self._fires(scene, "failed_growth")

    def _mended(self, scene: Scene) -> None:
        """What failed is replayed: without it the alert of failures would rightly stay."""
        scene.recovered(SOON_SECONDS)
        scene.transact(
            lambda c: moves.replay(c, selection.plan(c, Selection()), by="lab", reason="the sink is back")
        )
        scene.recovered(SOON_SECONDS)

    def _hangs(self, scene: Scene) -> None:
        """The next two deliver the rest; then one stands still, a batch in its hands, beyond its lease."""
        for name in NEXT:
            scene.worker(
                name, OUTBOX_LEASE_SECONDS=LEASE, OUTBOX_RECLAIM_INTERVAL_SECONDS=RECLAIM_INTERVAL
            ).start()
        scene.recovered()
        scene.wait(lambda: all(scene.worker(name).get("/readyz")[0] == OK for name in NEXT))
        with scene.proxy.hold("before apply"):
            _hold_first_batch(scene, BATCH)
            owners = {event.owner for event in scene.held()}
            holder, other = sorted(NEXT, key=lambda name: name not in owners)
            worker, witness = scene.worker(holder), scene.worker(other)
            scene.fault(
                f"SIGSTOP to worker {holder}",
                lambda: worker.send(signal.SIGSTOP),
                lambda: worker.send(signal.SIGCONT),
            )
            scene.took_hold(
                BilingualText("events were processing then", "此时有 processing 事件"),
                lambda: scene.look().processing,
                within=1,
            )
            self._fires(scene, "stuck")
            scene.expect_soon(
                BilingualText("outbox_stuck_processing_events rises", "outbox_stuck_processing_events 上升"),
                lambda: witness.metric("outbox_stuck_processing_events") == BATCH,
                within=SOON_SECONDS,
            )
        scene.undo()

    def _terminated(self, scene: Scene) -> None:
        """SIGTERM while the sink holds a batch."""
        worker = scene.worker("w1")
        before = scene.look().done
        with scene.proxy.hold("before apply"):
            _hold_first_batch(scene, BACKLOG)
            scene.fault("SIGTERM to worker w1", lambda: worker.send(signal.SIGTERM))
            scene.expect_soon(
                BilingualText("/readyz says that it drains", "收到 SIGTERM 后 /readyz 显示 draining"),
                lambda: "draining" in worker.failing(),
                within=10,
            )
        scene.wait(lambda: not worker.running, SOON_SECONDS)
        self.code, now = worker.code, scene.look()
        scene.expect(BilingualText("exit code after SIGTERM", "SIGTERM 后退出码"), 0, self.code)
        scene.expect(BilingualText("nothing is left processing", "没有遗留 processing"), 0, now.processing)
        self.finished = scene.expect(
            BilingualText(
                "the batch in flight is done, and no other was begun", "当前批次处理完，且未再 claim"
            ),
            BATCH,
            now.done - before,
        )

    def _fires(self, scene: Scene, name: str) -> None:
        if alerts.fires(scene, name, SOON_SECONDS):
            self.fired.append(name)


def _hold_first_batch(scene: Scene, events: int) -> None:
    """Write events, and wait until the first batch of them has come to where the proxy holds it."""
    before = scene.proxy.counts.bulks
    scene.load(events)
    scene.took_hold(
        BilingualText("a batch is under way", "有批次正在投递"),
        lambda: scene.proxy.counts.bulks > before,
        SOON_SECONDS,
    )
