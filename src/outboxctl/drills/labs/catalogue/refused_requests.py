"""The sink refuses requests or items of them: 429 to all, 429 to some, a write block."""

from collections import Counter
from itertools import pairwise

from outboxctl.drills.labs import BilingualText, Lab, LabContext
from outboxctl.drills.proxy import faults
from outboxctl.drills.scratch.worker import UNREADY
from outboxctl.settings import OutagePolicy
from outboxctl.sink.index import block

RETRY_AFTER = 60  # seconds: far more than the longest backoff, so that the cap shows
BACKOFF = 1.0
REQUESTS = 3  # refused before the fault ends
SHARE = 0.3
RETRIED = 10  # refused events that must have been sent again before the fault ends
REASON = ("their reason", "error_reason")


class Es429(Lab):
    """Every bulk request is refused with 429 and a Retry-After."""

    name = "es-429"
    title = BilingualText("Back-off from an overloaded sink (429)", "下游过载（429）时主动让路")
    question = BilingualText(
        "Does the worker go on sending to a sink that answers 429?",
        "下游明确表示过载时，worker 会继续猛压吗？",
    )
    hypothesis = BilingualText(
        "It waits for Retry-After, but no longer than the longest backoff, sends smaller requests, "
        "fails nothing, and delivers everything once the sink accepts it.",
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
        f"outboxctl chaos proxy --fault busy --retry-after {RETRY_AFTER} --port 9201 --for 30s &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --count 200",
        "curl -s localhost:9108/metrics | grep inflight_limit",
        "outboxctl status --watch 1",
    )

    def inject(self, ctx: LabContext) -> None:
        """Refuse every request with 429, and write five batches of events."""
        self.before = ctx.proxy.counts.bulks
        name = f"429 with Retry-After: {RETRY_AFTER} to every bulk request"
        ctx.proxy_fault(name, faults.busy(RETRY_AFTER))
        ctx.load(200)
        refused = ("requests were refused", "有请求被 429 拒绝")
        ctx.confirm(refused, lambda: ctx.proxy.counts.by_fault.get("busy"))

    def observe(self, ctx: LabContext) -> None:
        """Wait for three requests; without backoff they follow at once."""
        ctx.expect_soon(
            ("it does not wait for all of a long Retry-After", "不会按过长的 Retry-After 一直等待"),
            lambda: len(ctx.bulks_since(self.before)) >= REQUESTS,
            within=RETRY_AFTER / 4,
        )
        self.refused = ctx.bulks_since(self.before)

    def check(self, ctx: LabContext) -> None:
        """Requests had pauses and became smaller; no event is lost."""
        times, sizes = [bulk.at for bulk in self.refused], [len(bulk.ids) for bulk in self.refused]
        pause = min((later - sooner for sooner, later in pairwise(times)), default=0.0)
        ctx.expect(
            ("shortest pause between two requests", "相邻请求的最短间隔"),
            f"at least {BACKOFF:g} s",
            f"{pause:.2f} s",
            met=pause >= BACKOFF,
        )
        ctx.expect(
            ("the next requests are smaller", "再次请求时批量减小"),
            f"fewer than {sizes[0]} events",
            f"{sizes[-1]} events",
            met=sizes[-1] < sizes[0],
        )
        ctx.expect_counts(failed=0, done=ctx.written)
        pauses = ("Retry-After, and pause kept", "Retry-After 与实际间隔")
        ctx.conclude(pauses, f"{RETRY_AFTER} s, {pause:.2f} s")
        ctx.conclude(("events a request", "每个请求的事件数"), ", ".join(map(str, sizes)))


class EsBulkPartial(Lab):
    """Three items in ten are refused inside an answer that is 200."""

    name = "es-bulk-partial"
    title = BilingualText("Some items of a bulk request are refused", "bulk 部分失败")
    question = BilingualText(
        "Is an item that was refused inside a 200 detected, and is only that one sent again?",
        "HTTP 200 中被拒绝的条目会被发现吗？是否只重试这些条目？",
    )
    hypothesis = BilingualText(
        "What was refused is retried until it is accepted; what was accepted is done and never sent again.",
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

    def inject(self, ctx: LabContext) -> None:
        """Refuse the same items each time, chosen by their ids."""
        self.fault, self.before = faults.some_items(SHARE), ctx.proxy.counts.bulks
        ctx.proxy_fault(f"{SHARE:.0%} of the items refused with 429", self.fault)
        ctx.load(200)
        ctx.confirm(("items were refused", "有条目被拒绝"), lambda: ctx.proxy.counts.items_failed)

    def observe(self, ctx: LabContext) -> None:
        """Wait until some of them have been sent again."""
        ctx.expect_soon(
            ("refused items are sent again", "被拒绝的条目会重试"),
            lambda: sum(times > 1 for times in self._sent(ctx).values()) >= RETRIED,
            within=10,
            unless=ctx.idle,
        )
        ctx.expect(REASON, "rate_limited", _reasons(ctx))

    def check(self, ctx: LabContext) -> None:
        """Each item was accepted once and counted once."""
        sent = self._sent(ctx)
        refused = {id_ for id_ in sent if self.fault.items and self.fault.items(id_)}
        twice = [id_ for id_, times in sent.items() if times > 1 and id_ not in refused]
        ctx.expect(("events that were accepted and sent again", "成功后又被重复发送的事件数"), 0, len(twice))
        counts = ctx.expect_counts(done=ctx.written)
        ctx.expect_processed()
        ctx.conclude(("items refused at first", "首次被拒绝的条目"), f"{len(refused)} / {len(sent)}")
        ctx.conclude(("most attempts", "最大 attempts"), counts.attempts_most)

    def _sent(self, ctx: LabContext) -> Counter[str]:
        """How often each document was sent since the fault began."""
        return Counter(id_ for bulk in ctx.bulks_since(self.before) for id_ in bulk.ids)


class EsWriteBlock(Lab):
    """The index is read-only: an operator's block, or the engine's own when its disk is full."""

    name = "es-write-block"
    title = BilingualText("The index is read-only", "索引被设为只读（write block）")
    question = BilingualText(
        "Are events failed for good because somebody made the index read-only?",
        "索引被设为只读时，事件会被误判为终态失败吗？",
    )
    hypothesis = BilingualText(
        "It is an outage, with its own reason: events are retried with backoff (under `hold` the circuit "
        "opens and they wait), and are delivered automatically once the block is gone.",
        "这是故障而非坏数据：事件按 backoff 重试（`hold` 下熔断打开，事件等待），"
        "原因为 write_blocked，解除后自动投递。",
    )
    settings = {
        "OUTBOX_BULK_SIZE": "50",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "1",
        "OUTBOX_MAX_ATTEMPTS": "20",
    }
    events = 50
    seconds = 5.0
    by_hand = (
        "outboxctl chaos block --for 30s &",
        "outboxctl worker &",
        "outboxctl inject load --count 100",
        "outboxctl status  # pending, error_reason write_blocked",
        "outboxctl chaos unblock",
    )

    def inject(self, ctx: LabContext) -> None:
        """Block writes to the index, then write rows."""
        client, name = ctx.client, ctx.settings.elastic_index
        ctx.fault(
            f"index.blocks.write on {name}",
            lambda: block.set_block(client, name, on=True),
            lambda: block.set_block(client, name, on=False),
        )
        blocked = ("the index settings show the block", "索引设置显示已被 block")
        ctx.confirm(blocked, lambda: block.blocked(client, name))
        ctx.load(100)

    def observe(self, ctx: LabContext) -> None:
        """Wait until all have been refused and some retried; under `hold`, until the circuit is open."""
        if ctx.settings.outage_policy is OutagePolicy.HOLD:
            opened = ("the circuit opens, and /readyz names the reason", "熔断打开，/readyz 说明原因")
            ctx.expect_soon(opened, lambda: self._opened(ctx), within=15, unless=ctx.idle)
            return
        ctx.expect_soon(
            ("events wait for a retry, and are retried", "事件等待重试，并再次尝试"),
            lambda: ctx.counts().attempts_most > 1,
            within=15,
            unless=ctx.idle,
        )
        ctx.expect(REASON, "write_blocked", _reasons(ctx))
        waiting = sum(event.error_reason is not None for event in ctx.events())
        ctx.conclude(("events that waited", "等待重试的事件数"), waiting)

    def check(self, ctx: LabContext) -> None:
        """All are delivered, none failed."""
        counts = ctx.expect_counts(failed=0, done=ctx.written)
        ctx.conclude(("most attempts", "最大 attempts"), counts.attempts_most)

    def _opened(self, ctx: LabContext) -> bool:
        status, why = ctx.worker("w1").get("/readyz")
        return status == UNREADY and "circuit open: write_blocked" in why


def _reasons(ctx: LabContext) -> str:
    return ", ".join(sorted({event.error_reason for event in ctx.events() if event.error_reason}))
