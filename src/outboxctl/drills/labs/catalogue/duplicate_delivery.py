"""A batch is delivered twice: its worker dies before it has settled what the sink applied."""

from outboxctl.drills.labs import Lab, LabContext
from outboxctl.sink.index import index_setup

BATCH = 20


class DuplicateDelivery(Lab):
    """SIGKILL once the sink has applied a batch and before the worker has settled it."""

    name = "duplicate-delivery"
    title = "Delivered twice, one document"
    question = "What happens to a batch that was applied, but whose worker died before it settled it?"
    hypothesis = "It is delivered again and changes nothing: one document an entity, at the row's version."
    settings = {
        "OUTBOX_LEASE_SECONDS": "4",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 40
    seconds = 11.0
    by_hand = (
        "outboxctl chaos proxy --fault delay=20 --applied --port 9201 &",
        "outboxctl inject load --count 20",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &  # then: kill -9 %2",
        "outboxctl worker",
        "outboxctl verify",
    )

    def inject(self, ctx: LabContext) -> None:
        """Kill the worker while the proxy holds the sink's answer."""
        worker = ctx.worker("w1")
        with ctx.proxy.hold("after apply"):
            self.caught = ctx.load(BATCH)
            ctx.wait(lambda: all(ctx.versions(self.caught)), within=10)
            ctx.fault("SIGKILL to worker w1 after the sink has applied its batch", worker.kill)
            ctx.confirm(
                "applied, not settled, and the worker is dead",
                lambda: not worker.running and all(ctx.versions(self.caught)) and len(ctx.held()),
                within=3,
            )

    def observe(self, ctx: LabContext) -> None:
        """Start the next worker, which delivers the batch again."""
        ctx.worker("w1").start()
        ctx.expect_recovered()
        ctx.confirm("the whole batch was sent again", lambda: min(ctx.times_sent(self.caught)) > 1, within=3)

    def check(self, ctx: LabContext) -> None:
        """The result is that of one delivery."""
        ctx.expect("versions in the index", {1}, set(ctx.versions(self.caught)))
        documents = index_setup.count(ctx.client, ctx.settings.elastic_index)
        ctx.expect("documents", self.events + BATCH, documents)
        ctx.expect_counts(done=ctx.written)
        ctx.expect("processed by the second worker", BATCH, ctx.metric("outbox_processed_total"))
