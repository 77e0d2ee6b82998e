"""One document of a batch can never be delivered: the mapping refuses it, or it is too large."""

from uuid import uuid4

from outboxctl.drills.labs import BilingualText, Lab, LabContext, Need
from outboxctl.drills.labs.context import RECOVERED
from outboxctl.drills.proxy import faults
from outboxctl.sink.index import alias, lifecycle

# A sub-field may be added to a field that exists (to sort by the text as a number, say). From then on a
# text that is no number cannot be indexed (document_parsing_exception, 400).
NUMBERS = {"text": {"type": "text", "fields": {"number": {"type": "integer"}}}}
NUMBER, NO_NUMBER = "42", "forty-two"
NEIGHBOURS = 40
LIMIT = 64 * 2**10  # bytes of a request
SMALL, OVERSIZED = 2**10, 2 * LIMIT  # bytes of a text: the neighbours fit into one request
NEIGHBOURS_DONE = ("other events of the batch done", "同批 done 事件数")


class EsMappingConflict(Lab):
    """The index's mapping changes, and one row does not fit it."""

    name = "es-mapping-conflict"
    title = BilingualText("A document that the mapping refuses", "mapping 冲突的文档")
    question = BilingualText(
        "Is a document that can never be indexed retried without end, and does it delay its batch?",
        "永远无法写入索引的文档会无限重试、拖累同批事件吗？",
    )
    hypothesis = BilingualText(
        "It fails at its first attempt with the reason mapping and the sink's own words; its neighbours in "
        "the same request are delivered.",
        "它在第一次尝试后即 failed，error_reason 为 mapping 并保留下游原文；同批其他事件正常投递。",
    )
    settings = {
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_MAX_ATTEMPTS": "3",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.5",
    }
    needs = frozenset({Need.REAL_ENGINE})  # an imitation takes anything for a field beneath a text
    events = 20
    seconds = 4.0
    by_hand = (
        "curl -X PUT localhost:9200/outbox-search-index/_mapping -H 'Content-Type: application/json' "
        '-d \'{"properties": {"text": {"type": "text", "fields": {"number": {"type": "integer"}}}}}\'',
        "outboxctl inject load --count 1",
        "outboxctl worker --drain",
        "outboxctl failed list",
        "outboxctl failed show ID",
    )

    def inject(self, ctx: LabContext) -> None:
        """Write one row that does not fit the mapping among others."""
        client, name = ctx.client, ctx.settings.elastic_index
        ctx.fault("a mapping that wants numbers", lambda: lifecycle.map_fields(client, name, NUMBERS))
        ctx.confirm(
            ("the index has the new mapping", "索引已使用新的 mapping"),
            lambda: alias.look(client, name).mappings["properties"]["text"] == NUMBERS["text"],
        )
        self.misfit = uuid4()
        entities = [self.misfit, *(uuid4() for _ in range(NEIGHBOURS))]
        content = [NO_NUMBER, *[NUMBER] * NEIGHBOURS]
        ctx.fault(f"a row whose text is {NO_NUMBER!r}", lambda: ctx.write(entities, content=content))
        ctx.confirm(
            ("it was sent together with others", "它与其他事件在同一请求中发送"),
            lambda: any(len(ids) > 1 for ids in ctx.requests_with(self.misfit)),
        )

    def check(self, ctx: LabContext) -> None:
        """That event alone failed, at its first attempt, with reason."""
        event = ctx.event_of(self.misfit)
        ctx.expect_event(event, status="failed", attempts=1, error_reason="mapping")
        named = "text.number" in (event.error or "")
        ctx.expect(("its error names the field", "error 指明冲突字段"), "text.number", event.error, met=named)
        counts = ctx.expect_counts(failed=1)
        ctx.expect(NEIGHBOURS_DONE, ctx.written - 1, counts.done)
        ctx.conclude(
            ("way of injection", "注入方式"),
            ("PUT _mapping, and one row that does not fit", "PUT _mapping，加一行不符合的数据"),
        )
        ctx.conclude(("error_reason", "error_reason"), event.error_reason)


class OversizedEvent(Lab):
    """Requests over a limit are answered 413, empty and without a product header, as engines do it."""

    name = "oversized-event"
    title = BilingualText("A document over the sink's limit", "超过下游请求上限的文档")
    question = BilingualText(
        "Does one document that is too large fail the whole batch?",
        "一个超大文档会拖累整批事件吗？",
    )
    hypothesis = BilingualText(
        "The batch is halved until the large one is alone; it fails with payload_too_large, the others are "
        "delivered at the same attempt.",
        "批次不断对半拆分直到只剩超大文档，它以 payload_too_large 进入 failed，其余事件在同一次尝试中投递。",
    )
    settings = {"OUTBOX_BULK_SIZE": "100", "OUTBOX_CONCURRENCY": "1"}
    events = 20
    seconds = 4.0
    by_hand = (
        f"outboxctl chaos proxy --fault too-large --over {LIMIT} --port 9201 --for 60s &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        f"outboxctl inject oversized --bytes {OVERSIZED}",
        "outboxctl failed list",
    )

    def inject(self, ctx: LabContext) -> None:
        """Write one large row and small ones, in one batch."""
        self.large, self.before = uuid4(), ctx.proxy.counts.bulks
        ctx.fault("a row over the limit among others", lambda: self._insert(ctx), ctx.proxy.clear)
        ctx.confirm(
            ("a request of several events was refused with 413", "含多个事件的请求被 413 拒绝"),
            lambda: (
                ctx.proxy.counts.by_fault.get("too-large")
                and any(len(ids) > 1 for ids in ctx.requests_with(self.large))
            ),
        )

    def observe(self, ctx: LabContext) -> None:
        """Wait until no event is left, with the limit in place."""
        ctx.expect_soon(RECOVERED, ctx.idle)

    def check(self, ctx: LabContext) -> None:
        """The large one alone failed, at its first attempt."""
        event = ctx.event_of(self.large)
        ctx.expect_event(event, status="failed", error_reason="payload_too_large")
        counts = ctx.expect_counts(failed=1, attempts_most=1)
        ctx.expect(NEIGHBOURS_DONE, ctx.written - 1, counts.done)
        requests = ctx.proxy.counts
        ctx.conclude(("bytes, and limit", "字节数与上限"), f"{OVERSIZED}, {LIMIT}")
        refused = ("requests, of them refused", "请求数与被拒数")
        ctx.conclude(refused, f"{requests.bulks - self.before}, {requests.struck}")

    def _insert(self, ctx: LabContext) -> None:
        ctx.proxy.set(faults.too_large(LIMIT))
        entities = [self.large, *(uuid4() for _ in range(NEIGHBOURS))]
        ctx.write(entities, content=["x" * OVERSIZED, *["x" * SMALL] * NEIGHBOURS])
