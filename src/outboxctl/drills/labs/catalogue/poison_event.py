"""An event that is the death of its worker, each time."""

from dataclasses import replace
from uuid import uuid4

from outboxctl.drills.labs.experiment import PATIENCE_SECONDS
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import ENTITY_TYPE, Scene
from outboxctl.drills.proxy import faults

ATTEMPTS = 2
LARGE = 50_000  # bytes of a request: only one that holds the poison is so large
NEIGHBOURS = 20


class PoisonEvent(Lab):
    """The sink never answers a request that holds this event, and the worker is killed over it."""

    name = "poison-event"
    title = BilingualText("A poison event falls alone", "毒事件独自进入终态")
    question = BilingualText(
        "Does an event that kills its worker each time stop the queue, or take others with it?",
        "每次都杀死 worker 的事件会堵住队列或连累其他事件吗？",
    )
    hypothesis = BilingualText(
        "Reclaimed, it is sent alone; its attempts spent, it ends as lease_expired, all others are done.",
        "回收后它被单独发送；尝试用尽后以 lease_expired 进入 failed，其他事件全部 done。",
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "4",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_MAX_ATTEMPTS": str(ATTEMPTS),
        "OUTBOX_BULK_SIZE": "50",
        "OUTBOX_CONCURRENCY": "1",
        # An engine that has just begun may be slow twice: that must not be the end of the first events.
        "OUTBOX_BASE_BACKOFF_SECONDS": "20",
    }
    events = 20
    seconds = 12.0
    by_hand = (
        "outboxctl chaos proxy --fault delay --seconds 60 --port 9201 & PROXY=$!",
        "outboxctl inject load --count 1",
        "export OUTBOX_LEASE_SECONDS=20  # long enough to kill a worker that waits for its answer",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker & sleep 8; kill -9 $!",
        "sleep 15  # the lease's end",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker & sleep 8; kill -9 $!",
        "sleep 20; outboxctl worker --drain; outboxctl failed list",
        "kill $PROXY",
    )

    def inject(self, scene: Scene) -> None:
        """The poison among its neighbours, in one batch, and the first death."""
        silence = replace(faults.blackhole(), everything=False, over=LARGE)
        scene.fault("no answer to a large request", lambda: scene.proxy.set(silence), scene.proxy.clear)
        self.poison = uuid4()
        neighbours = [uuid4() for _ in range(NEIGHBOURS)]
        texts = ["text of a neighbour"] * NEIGHBOURS
        poisoned = scene.fault("an event over which its worker dies", lambda: ["poison " * LARGE])
        among = [*neighbours, self.poison] if poisoned else neighbours
        scene.write(among, content=[*texts, *(poisoned or [])])
        self._die(scene, 1, within=10 if poisoned else 0)

    def observe(self, scene: Scene) -> None:
        """The second, once its lease is over; no worker has to die a third time."""
        scene.worker("w1").start()
        self._die(scene, 2, within=PATIENCE_SECONDS)
        scene.worker("w1").start()

    def check(self, scene: Scene) -> None:
        """It alone has failed, and was alone when it was sent again."""
        others = [len(ids) - 1 for ids in self._sent(scene)]
        scene.expect(BilingualText("others in its second request", "第二次请求中的其他事件"), 0, others[1])
        now = scene.look()
        scene.expect(BilingualText("events failed", "failed 事件数"), 1, now.failed)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written - 1, now.done)
        (event,) = scene.events([self.event])
        scene.expect(BilingualText("its status", "状态"), "failed", event.status)
        scene.expect(BilingualText("its reason", "error_reason"), "lease_expired", event.error_reason)
        scene.expect(BilingualText("its attempts", "尝试次数"), ATTEMPTS, event.attempts)
        scene.conclude(BilingualText("neighbours at the first death", "第一次死亡时的邻居"), others[0])
        scene.conclude(BilingualText("workers that it killed", "杀死 worker 次数"), ATTEMPTS)

    def _die(self, scene: Scene, time: int, within: float) -> None:
        """Kill the worker while the sink keeps silent over the poison, for the first or second time."""
        worker = scene.worker("w1")
        scene.wait(lambda: len(self._sent(scene)) >= time, within)
        scene.fault(f"SIGKILL to worker w1 over the poison, time {time}", worker.kill)
        scene.took_hold(
            BilingualText("the worker died with the poison in hand", "worker 死亡时持有毒事件"),
            lambda: not worker.running and self._in_hand(scene),
            within=2,
        )

    def _sent(self, scene: Scene) -> list[tuple[str, ...]]:
        """The ids of each request that held the poison."""
        id_ = f"{ENTITY_TYPE}:{self.poison}"
        return [bulk.ids for bulk in scene.proxy.recent if id_ in bulk.ids]

    def _in_hand(self, scene: Scene) -> bool:
        held = [event.id for event in scene.held() if event.entity_id == str(self.poison)]
        self.event = held[0] if held else ""
        return bool(held)
