"""The same events delivered twice: the first answer never reached the worker, or was not written down."""

from itertools import pairwise

from outboxctl.drills.labs import BilingualText, Lab, LabContext
from outboxctl.drills.proxy import faults
from outboxctl.sink.index import index_setup

BATCH = 20


class DuplicateDelivery(Lab):
    """SIGKILL once the sink has applied a batch and before the worker has settled it."""

    name = "duplicate-delivery"
    title = BilingualText("Delivered twice, one document", "重复投递，结果唯一")
    question = BilingualText(
        "What happens to a batch that was applied, but whose worker died before it settled it?",
        "批次已写入索引但 worker 未及记录就死亡，会怎样？",
    )
    hypothesis = BilingualText(
        "It is delivered again and changes nothing: one document an entity, at the row's version.",
        "它会被再次投递且结果不变：每个实体一个文档，版本与源行一致（幂等）。",
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "4",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 40
    seconds = 11.0
    by_hand = (
        "outboxctl chaos proxy --fault delay --applied --seconds 20 --port 9201 &",
        "outboxctl inject load --count 20",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &  # then: kill -9 %2",
        "outboxctl worker",
        "outboxctl verify",
    )

    def inject(self, ctx: LabContext) -> None:
        """Kill the worker while the proxy holds the sink's answer."""
        worker = ctx.worker("w1")
        with ctx.proxy.hold("after apply"):
            self.entities = ctx.load(BATCH)
            ctx.wait(lambda: all(ctx.versions(self.entities)), within=10)
            ctx.fault("SIGKILL to worker w1 after the sink has applied its batch", worker.kill)
            ctx.confirm(
                ("applied, not settled, and the worker is dead", "已写入但未结算，worker 已死"),
                lambda: not worker.running and all(ctx.versions(self.entities)) and len(ctx.held()),
                within=3,
            )
            self.held = ctx.held()

    def observe(self, ctx: LabContext) -> None:
        """Start the next worker, which delivers the batch again."""
        ctx.worker("w1").start()
        ctx.expect_recovered()
        again = ("the whole batch was sent again", "同一批文档被再次发送")
        ctx.confirm(again, lambda: min(ctx.times_sent(self.entities)) > 1, within=3)

    def check(self, ctx: LabContext) -> None:
        """The result is that of one delivery."""
        ctx.expect(("versions in the index", "索引中的版本"), {1}, set(ctx.versions(self.entities)))
        documents = index_setup.count(ctx.client, ctx.settings.elastic_index)
        ctx.expect(("documents", "文档数"), self.events + BATCH, documents)
        ctx.expect_counts(done=ctx.written)
        second = ("processed by the second worker", "第二个 worker 的 processed 指标")
        ctx.expect(second, len(self.held), ctx.metric("outbox_processed_total"))
        ctx.conclude(("events delivered twice", "重复投递的事件"), len(self.held))


class ApplyThenDrop(Lab):
    """Every bulk request is applied, then its connection is closed without an answer."""

    name = "apply-then-drop"
    title = BilingualText("Applied, and the answer lost", "已写入但响应丢失")
    question = BilingualText(
        "Does it do harm to send again what was perhaps applied? Is anything lost without that?",
        "结果未知的请求，重发会造成损害吗？不重发会丢失吗？",
    )
    hypothesis = BilingualText(
        "The outcome is unknown, so the events are retried (connection_lost); a version that is there "
        "already is no conflict, no document goes back to an older one, and each event is done once.",
        "结果未知即重试（connection_lost）；相同版本重复写入不冲突，文档版本不回退，每个事件只 done 一次。",
    )
    settings = {
        "OUTBOX_BULK_SIZE": f"{BATCH}",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.5",
        "OUTBOX_MAX_ATTEMPTS": "50",
    }
    events = 20
    seconds = 6.0
    by_hand = (
        "outboxctl chaos proxy --fault drop-after --port 9201 --for 20s &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --count 20",
        "outboxctl status  # pending, error_reason connection_lost",
        "outboxctl verify",
    )

    def inject(self, ctx: LabContext) -> None:
        """Drop the answers of applied requests, and write rows."""
        self.observed: list[list[int | None]] = []
        ctx.proxy_fault("bulk requests applied, their answers lost", faults.drop_after())
        self.entities = ctx.load(BATCH)
        lost = ("requests were applied and their answers lost", "请求已写入而响应丢失")
        ctx.confirm(lost, lambda: ctx.proxy.counts.applied_then_lost)

    def observe(self, ctx: LabContext) -> None:
        """Write again; wait until the index held both versions."""
        self._observe_version(ctx, 1)
        ctx.write(self.entities)
        self._observe_version(ctx, 2)
        waiting = ctx.expect_soon(
            ("their events are retried", "相应事件等待重试"),
            lambda: ctx.worker("w1").metric("outbox_retry_scheduled_total", reason="connection_lost"),
            unless=ctx.idle,
        )
        ctx.expect(("of them done", "其中已 done"), 0, ctx.counts().done - self.events)
        ctx.conclude(("retries scheduled", "安排的重试次数"), int(waiting))

    def check(self, ctx: LabContext) -> None:
        """No document became older, and no event was counted twice."""
        self.observed.append(ctx.versions(self.entities))
        back = sum(
            (later or 0) < (sooner or 0)
            for before, after in pairwise(self.observed)
            for sooner, later in zip(before, after, strict=True)
        )
        ctx.expect(("documents that became older", "版本回退的文档数"), 0, back)
        newest = self.observed[-1].count(2)
        ctx.expect(("documents at their newest version", "最新版本的文档数"), BATCH, newest)
        ctx.expect_counts(failed=0)
        ctx.expect_processed()
        lost = ctx.proxy.counts.applied_then_lost
        ctx.conclude(("requests applied without an answer", "已写入而无响应的请求数"), lost)

    def _observe_version(self, ctx: LabContext, version: int) -> None:
        ctx.expect_soon(
            (f"the index holds version {version}", f"索引中已有版本 {version}"),
            lambda: min(each or 0 for each in ctx.versions(self.entities)) >= version,
        )
        self.observed.append(ctx.versions(self.entities))
