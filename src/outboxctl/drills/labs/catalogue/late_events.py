"""Events that reach the sink after newer ones of the same entity."""

from outboxctl.drills.labs import BilingualText, Lab, LabContext, Need

HALF = BATCH = 10


class StaleEvent(Lab):
    """Old upserts and old deletes arrive after newer events were delivered."""

    name = "stale-event"
    title = BilingualText("A late, old event changes nothing", "迟到的旧事件无害")
    question = BilingualText(
        "Does an event that is older than its row make the document older, or delete it?",
        "比源行旧的事件会让文档回退或消失吗？",
    )
    hypothesis = BilingualText(
        "The document follows the row, not the event: it stays, at the row's version, and the event is done.",
        "文档跟随源行而非事件：文档保留且版本与源行一致，旧事件进入 done。",
    )
    events = 20
    seconds = 3.0
    by_hand = ("outboxctl inject stale --count 20", "outboxctl status", "outboxctl verify")

    def prepare(self, ctx: LabContext) -> None:
        """Write each row twice: all are at version 2."""
        self.entities = ctx.load(self.events)
        ctx.write(self.entities)
        ctx.worker("w1").start()

    def steady(self, ctx: LabContext) -> None:
        """Wait until both versions of each are delivered."""
        ctx.expect_steady(2 * self.events)

    def inject(self, ctx: LabContext) -> None:
        """Insert an event of version 1 for each row."""
        self.stale = ctx.fault("events older than their rows", lambda: self._insert(ctx))
        ctx.confirm(
            ("old events are in the table", "旧事件已写入表中"),
            lambda: self.stale and {e.event_version for e in ctx.events(self.stale)} == {1},
            within=2,
        )

    def check(self, ctx: LabContext) -> None:
        """No document has changed."""
        assert self.stale  # noqa: S101 - for mypy: it was confirmed
        versions = ctx.versions(self.entities)
        upserted, deleted = set(versions[:HALF]), set(versions[HALF:])
        ctx.expect(("versions after old upserts", "旧 upsert 之后的版本"), {2}, upserted)
        ctx.expect(("versions after old deletes", "旧 delete 之后的版本"), {2}, deleted)
        statuses = {event.status for event in ctx.events(self.stale)}
        ctx.expect(("final status of the old events", "旧事件的终态"), {"done"}, statuses)
        ctx.conclude(("old events", "旧事件数"), len(self.stale))
        changed = len(versions) - versions.count(2)
        ctx.conclude(("documents that became older or were deleted", "回退或消失的文档"), changed)

    def _insert(self, ctx: LabContext) -> list[str]:
        ops = ["upsert"] * HALF + ["delete"] * (len(self.entities) - HALF)
        pairs = zip(ops, self.entities, strict=True)
        return [ctx.insert(op=op, entity=entity, version=1) for op, entity in pairs]


class DeleteThenStale(Lab):
    """One worker's upserts are held before the sink while another worker delivers the deletes."""

    name = "delete-then-stale"
    title = BilingualText("A deleted document does not come back", "已删除的不会复活")
    question = BilingualText(
        "Does an upsert that arrives after the delete create the document again?",
        "删除之后才到达的 upsert 会让文档复活吗？",
    )
    hypothesis = BilingualText(
        "The index keeps a tombstone of the delete and refuses the older upsert; its event is done.",
        "索引记得这次删除（tombstone）并拒绝更旧的 upsert；该事件以 superseded 进入 done。",
    )
    # An imitation keeps no tombstones.
    needs = frozenset({Need.REAL_ENGINE})
    settings = {"OUTBOX_LEASE_SECONDS": "60", "OUTBOX_BULK_SIZE": str(BATCH), "OUTBOX_CONCURRENCY": "1"}
    events = 20
    seconds = 6.0
    by_hand = (
        "outboxctl chaos proxy --fault delay --seconds 15 --port 9201 &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --scenario update --total 10",
        "outboxctl inject load --scenario delete --total 10",
        "OUTBOX_METRICS_PORT=9109 outboxctl worker &  # straight to the sink",
        "outboxctl verify",
    )

    def prepare(self, ctx: LabContext) -> None:
        """Write rows, some of which will be deleted."""
        self.entities = ctx.load(self.events)[:BATCH]
        ctx.worker("w1").start()

    def inject(self, ctx: LabContext) -> None:
        """Hold the second versions before the sink; delete their rows."""
        held_up = ctx.hold_up("the upserts are held up before the sink", "before apply")
        ctx.write(self.entities)
        ctx.confirm(
            ("upserts are in flight", "upsert 正在途中"),
            lambda: held_up and len(ctx.held()) == BATCH,
            within=10 if held_up else 0,
        )
        ctx.delete(self.entities)
        ctx.worker("w2", direct=True).start()
        ctx.confirm(
            ("the deletes came first", "delete 先到达"),
            lambda: not any(ctx.versions(self.entities)) and len(ctx.held()),
        )

    def observe(self, ctx: LabContext) -> None:
        """Let the upserts reach the sink."""
        ctx.undo()
        ctx.expect_soon(("the late upserts are settled", "迟到的 upsert 已结算"), lambda: not ctx.held())

    def check(self, ctx: LabContext) -> None:
        """No document has come back, and no event has failed."""
        back = sum(version is not None for version in ctx.versions(self.entities))
        ctx.expect(("documents that came back", "复活的文档"), 0, back)
        ctx.expect_counts(done=ctx.written)
        superseded = ("upserts refused for a newer version", "被更新版本取代的 upsert（superseded）")
        ctx.expect(superseded, BATCH, ctx.worker("w1").metric("outbox_idempotent_noop_total"))
        ctx.conclude(("late upserts", "迟到的 upsert"), BATCH)
        ctx.conclude(("documents that came back", "复活的文档"), back)
