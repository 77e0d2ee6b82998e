"""A document that the index's mapping refuses, among others that it takes."""

from uuid import uuid4

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText, Need
from outboxctl.drills.labs.scene import ENTITY_TYPE, Scene
from outboxctl.sink.index import alias, lifecycle

# Somebody wants to sort by the text as a number: allowed on a field that is there, and from then on a
# text that is none cannot be indexed (document_parsing_exception, 400).
NUMBERS = {"text": {"type": "text", "fields": {"number": {"type": "integer"}}}}
NUMBER, NO_NUMBER = "42", "forty-two"
NEIGHBOURS = 40


class EsMappingConflict(Lab):
    """The index's mapping changes, and one row does not fit it."""

    name = "es-mapping-conflict"
    title = BilingualText("A document that the mapping refuses", "mapping 冲突的文档")
    question = BilingualText(
        "Is a document that can never be indexed retried for ever, and does it hold up its neighbours?",
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

    def inject(self, scene: Scene) -> None:
        """One that does not fit and others that do, in one transaction: so in one batch."""
        client, name = scene.client, scene.settings.elastic_index
        scene.fault("a mapping that wants numbers", lambda: lifecycle.map_fields(client, name, NUMBERS))
        scene.took_hold(
            BilingualText("the index has the new mapping", "索引已使用新的 mapping"),
            lambda: alias.look(client, name).mappings["properties"]["text"] == NUMBERS["text"],
        )
        self.misfit = uuid4()
        entities = [self.misfit, *(uuid4() for _ in range(NEIGHBOURS))]
        scene.fault(
            f"a row whose text is {NO_NUMBER!r}",
            lambda: scene.write(entities, content=[NO_NUMBER, *[NUMBER] * NEIGHBOURS]),
        )
        document = f"{ENTITY_TYPE}:{self.misfit}"
        scene.took_hold(
            BilingualText("it was sent together with others", "它与其他事件在同一请求中发送"),
            lambda: any(document in bulk.ids and len(bulk.ids) > 1 for bulk in scene.proxy.recent),
        )

    def check(self, scene: Scene) -> None:
        """One failed, at once, with its reason; and nobody else."""
        event = next(each for each in scene.events() if each.entity_id == str(self.misfit))
        scene.expect(BilingualText("its status", "状态"), "failed", event.status)
        scene.expect(BilingualText("its attempts", "尝试次数"), 1, event.attempts)
        scene.expect(BilingualText("its reason", "error_reason"), "mapping", event.error_reason)
        scene.expect(
            BilingualText("its error names the field", "error 指明冲突字段"),
            "text.number",
            event.error,
            met="text.number" in (event.error or ""),
        )
        now = scene.look()
        scene.expect(BilingualText("events failed", "failed 事件数"), 1, now.failed)
        scene.expect(BilingualText("neighbours done", "同批 done 事件数"), scene.written - 1, now.done)
        scene.conclude(
            BilingualText("way of injection", "注入方式"),
            BilingualText("PUT _mapping, and one row that does not fit", "PUT _mapping，加一行不符合的数据"),
        )
        scene.conclude(BilingualText("error_reason", "error_reason"), event.error_reason)
