"""An upsert reaches the sink after the delete of the same entity."""

from outboxctl.drills.labs import Lab, LabContext

BATCH = 10


class DeleteThenStale(Lab):
    """One worker's upserts are held before the sink while another worker delivers the deletes."""

    name = "delete-then-stale"
    title = "A deleted document does not come back"
    question = "Does an upsert that arrives after the delete create the document again?"
    hypothesis = "The index keeps a tombstone of the delete and refuses the older upsert; its event is done."
    # An imitation keeps no tombstones.
    real_engine = True
    settings = {"OUTBOX_LEASE_SECONDS": "60", "OUTBOX_BULK_SIZE": str(BATCH), "OUTBOX_CONCURRENCY": "1"}
    events = 20
    seconds = 6.0
    by_hand = (
        "outboxctl chaos proxy --fault delay=15 --port 9201 &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --scenario update --total 10",
        "outboxctl inject load --scenario delete --total 10",
        "OUTBOX_METRICS_PORT=9109 outboxctl worker &  # straight to the sink",
        "outboxctl verify",
    )

    def inject(self, ctx: LabContext) -> None:
        """Hold the second versions before the sink; delete their rows."""
        ctx.hold_up("the upserts are held up before the sink", "before apply")
        self.deleted = self.entities[:BATCH]
        ctx.write(self.deleted)
        ctx.confirm("upserts are in flight", lambda: len(ctx.held()) == BATCH, within=10)
        ctx.delete(self.deleted)
        ctx.worker("w2", direct=True).start()
        ctx.confirm(
            "the deletes came first",
            lambda: not any(ctx.versions(self.deleted)) and len(ctx.held()),
        )

    def observe(self, ctx: LabContext) -> None:
        """Let the upserts reach the sink."""
        ctx.undo()
        ctx.expect_soon("the late upserts are settled", lambda: not ctx.held())

    def check(self, ctx: LabContext) -> None:
        """No document has come back, and no event has failed."""
        back = sum(version is not None for version in ctx.versions(self.deleted))
        ctx.expect("documents that came back", 0, back)
        ctx.expect_counts(done=ctx.written)
        superseded = "upserts refused for a newer version"
        ctx.expect(superseded, BATCH, ctx.worker("w1").metric("outbox_idempotent_noop_total"))
