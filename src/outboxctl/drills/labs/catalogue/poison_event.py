"""An event whose delivery ends its worker, each time."""

from dataclasses import replace
from uuid import uuid4

from outboxctl.drills.labs import BilingualText, Lab, LabContext
from outboxctl.drills.labs.experiment import TIMEOUT_SECONDS
from outboxctl.drills.proxy import faults

ATTEMPTS = 2
LARGE = 50_000  # bytes of a request: only one that holds the poison event is so large
NEIGHBOURS = 20


class PoisonEvent(Lab):
    """The sink never answers a request that holds this event, and the worker is killed meanwhile."""

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

    def inject(self, ctx: LabContext) -> None:
        """Write the poison event among others; kill the worker."""
        silence = replace(faults.blackhole(), everything=False, over=LARGE)
        ctx.proxy_fault("no answer to a large request", silence)
        self.poison = uuid4()
        entities, texts = [uuid4() for _ in range(NEIGHBOURS)], ["text of a neighbour"] * NEIGHBOURS
        poisoned = ctx.fault("an event over which its worker dies", lambda: "poison " * LARGE)
        if poisoned:
            entities, texts = [*entities, self.poison], [*texts, poisoned]
        ctx.write(entities, content=texts)
        self._kill(ctx, 1, within=10 if poisoned else 0)

    def observe(self, ctx: LabContext) -> None:
        """After the lease kill the next worker too; start a third."""
        ctx.worker("w1").start()
        self._kill(ctx, 2, within=TIMEOUT_SECONDS)
        ctx.worker("w1").start()

    def check(self, ctx: LabContext) -> None:
        """That event alone failed, and was alone when it was sent again."""
        others = [len(ids) - 1 for ids in ctx.requests_with(self.poison)]
        ctx.expect(("others in its second request", "第二次请求中的其他事件"), 0, others[1])
        ctx.expect_counts(failed=1, done=ctx.written - 1)
        (event,) = ctx.events([self.event])
        ctx.expect_event(event, status="failed", error_reason="lease_expired", attempts=ATTEMPTS)
        ctx.conclude(("neighbours at the first kill", "第一次死亡时的邻居"), others[0])
        ctx.conclude(("workers killed", "杀死 worker 次数"), ATTEMPTS)

    def _kill(self, ctx: LabContext, time: int, within: float) -> None:
        """Kill the worker while it waits for the answer, for the first or second time."""
        worker = ctx.worker("w1")
        ctx.wait(lambda: len(ctx.requests_with(self.poison)) >= time, within)
        ctx.fault(f"SIGKILL to worker w1 over the poison, time {time}", worker.kill)
        killed = ("the worker was killed while it held the poison event", "worker 死亡时持有毒事件")
        ctx.confirm(killed, lambda: not worker.running and self._held(ctx), within=2)

    def _held(self, ctx: LabContext) -> bool:
        held = [event.id for event in ctx.held() if event.entity_id == str(self.poison)]
        self.event = held[0] if held else ""
        return bool(held)
