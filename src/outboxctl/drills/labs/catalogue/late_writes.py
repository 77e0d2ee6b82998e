"""What reaches the sink late, or twice: a deleted document, a killed worker's batch, a frozen worker's."""

from signal import SIGCONT

from outboxctl.drills.labs import CHECK, OBSERVE, Lab, LabContext, Steps
from outboxctl.drills.labs.context import ENTITY_TYPE
from outboxctl.sink.index import index_setup

BATCH = 10
LONG_LEASE = "60"  # seconds: the second worker still holds its event when the frozen one resumes


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

    def experiment(self, ctx: LabContext) -> Steps:
        """Hold second versions before the sink; delete their rows; let the upserts reach the sink."""
        ctx.hold_up("the upserts are held up before the sink", "before apply")
        deleted = self.entities[:BATCH]
        ctx.write(deleted)
        ctx.confirm("upserts are in flight", lambda: len(ctx.held()) == BATCH, within=10)
        ctx.delete(deleted)
        ctx.worker("w2", direct=True).start()
        ctx.confirm("the deletes came first", lambda: not any(ctx.versions(deleted)) and len(ctx.held()))
        yield OBSERVE
        ctx.undo()
        ctx.expect_soon("the late upserts are settled", lambda: not ctx.held())
        yield CHECK
        back = sum(version is not None for version in ctx.versions(deleted))
        ctx.expect("documents that came back", 0, back)
        ctx.expect_counts(done=ctx.written)
        superseded = "upserts refused for a newer version"
        ctx.expect(superseded, BATCH, ctx.worker("w1").metric("outbox_idempotent_noop_total"))


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

    def experiment(self, ctx: LabContext) -> Steps:
        """Kill the worker while the proxy holds the sink's answer; the next one delivers the batch again."""
        worker = ctx.worker("w1")
        with ctx.proxy.hold("after apply"):
            caught = ctx.load(BATCH)
            ctx.wait(lambda: all(ctx.versions(caught)), within=10)
            ctx.fault("SIGKILL to worker w1 after the sink has applied its batch", worker.kill)
            ctx.confirm(
                "applied, not settled, and the worker is dead",
                lambda: not worker.running and all(ctx.versions(caught)) and len(ctx.held()),
                within=3,
            )
        yield OBSERVE
        worker.start()
        ctx.expect_recovered()
        again = "the whole batch was sent again"
        ids = [f"{ENTITY_TYPE}:{entity}" for entity in caught]
        ctx.confirm(again, lambda: all(ctx.times_sent()[id_] > 1 for id_ in ids), within=3)
        yield CHECK
        ctx.expect("versions in the index", {1}, set(ctx.versions(caught)))
        documents = index_setup.count(ctx.client, ctx.settings.elastic_index)
        ctx.expect("documents", self.events + BATCH, documents)
        ctx.expect_counts(done=ctx.written)
        ctx.expect("processed by the second worker", BATCH, ctx.metric("outbox_processed_total"))


class ZombieWorker(Lab):
    """SIGSTOP with a batch in flight; others reclaim it, and one still holds an event of it; SIGCONT."""

    name = "zombie-worker"
    title = "A frozen worker resumes after its lease"
    question = "Can a worker that was frozen past its lease undo what others have done since?"
    hypothesis = (
        "What it still sends and writes changes nothing: the lease is lost, and no document becomes older."
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "3",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 50
    seconds = 11.0
    by_hand = (
        "outboxctl inject load --count 10000 --rate 0",
        "OUTBOX_WORKER_ID=w1 outboxctl worker &",
        "outboxctl chaos kill --pause --id w1",
        "OUTBOX_METRICS_PORT=9109 outboxctl worker &  # waits for the lease's end",
        "outboxctl chaos undo",
        "outboxctl verify",
    )

    def experiment(self, ctx: LabContext) -> Steps:
        """Freeze the worker while the sink holds its batch; others take its events; it resumes."""
        worker = ctx.worker("w1")
        ctx.hold_up("the sink holds the batch of worker w1", "before apply")
        caught = ctx.load(BATCH)
        ctx.wait(lambda: len(ctx.held()) == BATCH, within=10)
        ctx.freeze("w1")
        frozen = "it was frozen while it held a batch"
        ctx.confirm(frozen, lambda: worker.frozen and len(ctx.held()), within=3)
        held = [event.id for event in ctx.held()]
        yield OBSERVE
        ctx.worker("w2", OUTBOX_LEASE_SECONDS=LONG_LEASE, OUTBOX_BULK_SIZE="1").start()
        ctx.expect_soon("another worker holds an event of it", lambda: "w2" in ctx.owners())
        ctx.write(caught)
        ctx.worker("w3", direct=True).start()
        ctx.expect_soon(
            "a third one delivers all others",
            lambda: {event.owner for event in ctx.events() if event.status != "done"} <= {"w2"},
        )
        # What it writes once it resumes must change no row, done or held by another worker.
        before = ctx.events(held)
        worker.send(SIGCONT)
        ctx.log("SIGCONT to worker w1")
        lost = ctx.wait(lambda: int(worker.metric("outbox_lease_lost_total")))
        ctx.expect("leases lost by the late worker", len(held), lost)
        changed = sum(a != b for a, b in zip(before, ctx.events(held), strict=True))
        ctx.expect("events that it changed after it resumed", 0, changed)
        ctx.undo()
        yield CHECK
        ctx.expect("versions in the index", {2}, set(ctx.versions(caught)))
        ctx.expect_processed()
