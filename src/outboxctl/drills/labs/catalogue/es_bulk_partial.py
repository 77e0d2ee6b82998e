"""The sink refuses some items of a bulk request."""

from collections import Counter

from outboxctl.drills.labs import Lab, LabContext
from outboxctl.drills.proxy import faults

SHARE = 0.3
RETRIED = 10  # refused events that must have been sent again before the fault ends


class EsBulkPartial(Lab):
    """Three items in ten are refused inside an answer that is 200."""

    name = "es-bulk-partial"
    title = "Some items of a bulk request are refused"
    question = "Is an item that was refused inside a 200 detected, and is only that one sent again?"
    hypothesis = (
        "What was refused is retried until it is accepted; what was accepted is done and never sent again."
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
        ctx.confirm("items were refused", lambda: ctx.proxy.counts.items_failed)

    def observe(self, ctx: LabContext) -> None:
        """Wait until some of them have been sent again."""
        ctx.expect_soon(
            "refused items are sent again",
            lambda: sum(times > 1 for times in self._sent(ctx).values()) >= RETRIED,
            within=10,
            unless=ctx.idle,
        )
        reasons = ", ".join(sorted({event.error_reason for event in ctx.events() if event.error_reason}))
        ctx.expect("their reason", "rate_limited", reasons)

    def check(self, ctx: LabContext) -> None:
        """Each item was accepted once and counted once."""
        sent = self._sent(ctx)
        refused = {id_ for id_ in sent if self.fault.items and self.fault.items(id_)}
        twice = [id_ for id_, times in sent.items() if times > 1 and id_ not in refused]
        ctx.expect("events that were accepted and sent again", 0, len(twice))
        ctx.expect_counts(done=ctx.written)
        ctx.expect_processed()

    def _sent(self, ctx: LabContext) -> Counter[str]:
        """How often each document was sent since the fault began."""
        return Counter(id_ for bulk in ctx.bulks_since(self.before) for id_ in bulk.ids)
