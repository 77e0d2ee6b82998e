"""A write that was on its way for long arrives after the index has forgotten the delete."""

from outboxctl.drills.labs import BilingualText, LabContext
from outboxctl.drills.labs.clustered import HOLD, WORKER, ClusterLab
from outboxctl.sink.transport.request import demand

LATE = 60.0  # OUTBOX_LATE_WRITE_SECONDS
BATCH = 10
SECOND = "w2"


class LateWrite(ClusterLab):
    """Upserts are held before the sink, their rows deleted, and the node with the tombstones restarted."""

    name = "cluster-late-write"
    title = BilingualText("A late write after the tombstone is lost", "tombstone 丢失后才到达的写入")
    question = BilingualText(
        "Does a document come back for good if a write arrives after a node has lost the delete's tombstone?",
        "节点丢失 tombstone 之后才到达的写入，会让文档永久复活吗？",
    )
    hypothesis = BilingualText(
        "It comes back for a while: the delete is sent again until no older write can be on its way, and "
        "the document is gone in the end.",
        "文档会短暂复活：delete 会重复发送，直到不可能再有更旧的写入，最终文档消失。",
    )
    index_settings = {"number_of_shards": 1, "number_of_replicas": 0}
    settings = HOLD | {
        "OUTBOX_LEASE_SECONDS": "3",
        "OUTBOX_LATE_WRITE_SECONDS": f"{LATE:g}",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 20
    seconds = 40.0
    by_hand = (
        "outboxctl chaos proxy --fault delay --seconds 60 --port 9201 &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --scenario update --total 10",
        "outboxctl inject load --scenario delete --total 10",
        "kill -9 %2",
        "OUTBOX_METRICS_PORT=9109 outboxctl worker &  # straight to the sink",
        "systemctl restart elasticsearch  # on the node of the shard, after a flush",
        "outboxctl verify",
    )

    def prepare(self, ctx: LabContext) -> None:
        """Write rows, some of which will be deleted; start one worker behind the proxy."""
        self.entities = ctx.load(self.events)[:BATCH]
        ctx.worker(WORKER).start()

    def inject(self, ctx: LabContext) -> None:
        """Hold upserts before the sink, kill their worker, delete their rows, restart the node."""
        held_up = ctx.hold_up("the upserts are held up before the sink", "before apply")
        ctx.write(self.entities)
        flight = ("upserts are in flight", "upsert 正在途中")
        ctx.confirm(flight, lambda: held_up and len(ctx.held()) == BATCH, within=10 if held_up else 0)
        ctx.fault(f"SIGKILL to worker {WORKER}", ctx.worker(WORKER).kill)
        ctx.delete(self.entities)
        ctx.worker(SECOND, direct=True).start()
        first = ("the deletes came first", "delete 先到达")
        ctx.confirm(first, lambda: not any(ctx.versions(self.entities)) and ctx.idle())
        ctx.fault("the node of the shard is restarted after a flush", lambda: self._forget(ctx))

    def observe(self, ctx: LabContext) -> None:
        """Let the upserts reach the sink: the documents are there again."""
        ctx.undo()
        back = ("the documents have come back", "文档已复活")
        self.back = ctx.confirm(back, lambda: len(list(filter(None, ctx.versions(self.entities)))), within=15)
        gone = ("the documents are gone again", "文档再次消失")
        ctx.expect_soon(gone, lambda: not any(ctx.versions(self.entities)), within=2 * LATE)

    def recover(self, ctx: LabContext) -> None:
        """Wait until no event is left."""
        ctx.expect_recovered()

    def check(self, ctx: LabContext) -> None:
        """No document has come back for good, and no event has failed."""
        back = sum(version is not None for version in ctx.versions(self.entities))
        ctx.expect(("documents that came back", "复活的文档"), 0, back)
        ctx.expect_counts(failed=0, done=ctx.written)
        ctx.conclude(("documents that had come back meanwhile", "期间曾复活的文档"), self.back)

    def _forget(self, ctx: LabContext) -> None:
        """Flush, and restart the node: tombstones are not in what it reads."""
        name, cluster = ctx.settings.elastic_index, ctx.cluster
        demand(ctx.client, "POST", name, "_flush", force=True)
        holder = cluster.holder(name)
        cluster.stop(holder)  # in peace: after a kill the last operations are read from its log again
        cluster.restart(holder)
        cluster.wait_for("green", index=name)
