"""A worker is frozen past its lease, and resumes."""

from signal import SIGCONT, SIGSTOP

from outboxctl.drills.labs import Lab, LabContext

BATCH = 10
LONG_LEASE = "60"  # seconds: the second worker still holds its event when the frozen one resumes


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

    def inject(self, ctx: LabContext) -> None:
        """Freeze the worker while the sink holds its batch."""
        worker = ctx.worker("w1")
        ctx.hold_up("the sink holds the batch of worker w1", "before apply")
        self.caught = ctx.load(BATCH)
        ctx.wait(lambda: len(ctx.held()) == BATCH, within=10)
        ctx.fault("SIGSTOP to worker w1", lambda: worker.send(SIGSTOP), lambda: worker.send(SIGCONT))
        frozen = "it was frozen while it held a batch"
        ctx.confirm(frozen, lambda: worker.frozen and len(ctx.held()), within=3)
        self.held = ctx.held()

    def observe(self, ctx: LabContext) -> None:
        """Two other workers take its events; resume it."""
        ctx.worker("w2", OUTBOX_LEASE_SECONDS=LONG_LEASE, OUTBOX_BULK_SIZE="1").start()
        ctx.expect_soon("another worker holds an event of it", lambda: "w2" in ctx.owners())
        ctx.write(self.caught)
        ctx.worker("w3", direct=True).start()
        ctx.expect_soon(
            "a third one delivers all others",
            lambda: {event.owner for event in ctx.events() if event.status != "done"} <= {"w2"},
        )
        self._resume(ctx)
        ctx.undo()

    def check(self, ctx: LabContext) -> None:
        """No late write changed a document; each event counted once."""
        ctx.expect("versions in the index", {2}, set(ctx.versions(self.caught)))
        ctx.expect_processed()

    def _resume(self, ctx: LabContext) -> None:
        """What it writes now must change no row, done or held by another worker."""
        before, worker = self._rows(ctx), ctx.worker("w1")
        worker.send(SIGCONT)
        ctx.log("SIGCONT to worker w1")
        lost = ctx.wait(lambda: int(worker.metric("outbox_lease_lost_total")))
        ctx.expect("leases lost by the late worker", len(self.held), lost)
        changed = sum(a != b for a, b in zip(before, self._rows(ctx), strict=True))
        ctx.expect("events that it changed after it resumed", 0, changed)

    def _rows(self, ctx: LabContext) -> list[object]:
        return list(ctx.events([event.id for event in self.held]))
