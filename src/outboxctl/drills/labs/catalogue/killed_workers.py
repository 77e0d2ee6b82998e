"""Lab 1 of the document, and an event whose delivery ends its worker each time."""

from dataclasses import replace
from uuid import uuid4

from outboxctl.drills.labs import BilingualText, Lab, LabContext
from outboxctl.drills.labs.experiment import TIMEOUT_SECONDS
from outboxctl.drills.proxy import faults

STUCK = "outbox_stuck_processing_events"
ATTEMPTS = 2
LARGE = 50_000  # bytes of a request: only one that holds the poison event is so large
NEIGHBOURS = 20


class KillAndHeal(Lab):
    """SIGKILL while events are processing; the next worker reclaims them."""

    name = "kill-and-heal"
    number = 1
    title = BilingualText("Events of a killed worker are reclaimed", "Kill worker 后能自动自愈（reclaim）")
    question = BilingualText(
        "Do events of a dead worker stay in processing for ever?",
        "worker 半路死亡/卡死，会让 outbox 永久悬空吗？",
    )
    hypothesis = BilingualText(
        "They are stuck once their lease is over, until the next worker reclaims and delivers them.",
        "stuck 计数会短暂 >0，重启 worker 后 reclaim 将其捞回并继续推进，stuck 回到 0。",
    )
    # The document's own (section 4.2).
    settings = {
        "OUTBOX_LEASE_SECONDS": "10",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "2",
        "OUTBOX_MAX_PROCESSING_SECONDS": "60",
        "OUTBOX_BULK_SIZE": "20",
        "OUTBOX_CONCURRENCY": "1",
    }
    seconds = 18.0
    by_hand = (
        "outboxctl inject load --total 50000 --rate 0 --per-transaction 500",
        "outboxctl worker &",
        "kill -9 %1  # a few seconds later, while events are processing",
        "outboxctl status --watch 1  # ^C once stuck is above 0",
        "outboxctl worker  # ^C once its log says Reclaimed",
        "outboxctl stuck  # none",
    )
    judged = BilingualText("v1 stuck events are reclaimed:", "v1 stuck 自愈")

    def inject(self, ctx: LabContext) -> None:
        """Kill the worker while the sink holds its batch."""
        worker = ctx.worker("w1")
        with ctx.proxy.hold("before apply"):
            ctx.load(200)
            ctx.wait(lambda: ctx.counts().processing, within=10)
            ctx.fault("SIGKILL to worker w1", worker.kill)
        self.held = ctx.confirm(
            ("events were processing at the kill", "kill 时有 processing 事件"),
            lambda: not worker.running and ctx.counts().processing,
            within=3,
        )

    def observe(self, ctx: LabContext) -> None:
        """Wait until the dead worker's leases are over."""
        rises = ("stuck rises above 0", "stuck 计数短暂 >0")
        ctx.expect_soon(rises, lambda: ctx.counts().stuck, within=20)

    def undo(self, ctx: LabContext) -> None:
        """Start the worker again."""
        ctx.undo()
        if not ctx.worker("w1").running:
            ctx.worker("w1").start()

    def check(self, ctx: LabContext) -> None:
        """Section 4.4: the table, the log and the metrics."""
        worker, now = ctx.worker("w1"), ctx.counts()
        ctx.expect(("stuck in the end", "最终 stuck"), 0, now.stuck)
        ctx.expect_counts(done=ctx.written)
        reclaimed = worker.reclaimed()
        ctx.expect(
            ("the log reports the reclaim", "日志出现 reclaim 记录"),
            f"{self.held} reclaimed",
            f"{reclaimed} reclaimed",
            met=reclaimed >= self.held,
        )
        ctx.expect_soon(
            (f"{STUCK} is back to 0", f"{STUCK} 回落到 0"),
            lambda: STUCK in worker.get("/metrics")[1] and worker.metric(STUCK) == 0,
            within=5,
        )
        processed = worker.metric("outbox_processed_total")
        ctx.expect(
            ("outbox_processed_total goes on growing", "outbox_processed_total 继续增长"),
            f"at least {self.held:g} since the restart",
            f"{processed:g}",
            met=processed >= self.held,
        )
        self._conclude(ctx)

    def _conclude(self, ctx: LabContext) -> None:
        s = ctx.settings
        ctx.conclude(
            ("parameters", "参数"),
            f"lease={s.lease_seconds:g}s, reclaim_interval={s.reclaim_interval_seconds:g}s, "
            f"max_processing={s.max_processing_seconds:g}s",
        )
        ctx.conclude(("processing at the kill, about", "kill 时 processing 约为"), self.held)
        zero = ("stuck back to zero after the restart", "重启后 stuck 是否归零")
        ctx.conclude(zero, ctx.counts().stuck == 0)


class PoisonEvent(Lab):
    """The sink never answers a request that holds this event, and the worker is killed meanwhile."""

    name = "poison-event"
    title = BilingualText("A poison event fails alone", "毒事件独自进入终态")
    question = BilingualText(
        "Does an event that ends its worker each time stop the queue, or fail other events?",
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
