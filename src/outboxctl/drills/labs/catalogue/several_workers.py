"""Several workers: they share the events, and none settles what another has claimed since."""

from signal import SIGCONT, SIGSTOP

from outboxctl.drills.labs import BilingualText, Lab, LabContext
from outboxctl.drills.proxy import faults

BATCH = 10
LONG_LEASE = "60"  # seconds: the second worker still holds its event when the frozen one resumes
LEASE = 4.0
PACE = 0.05  # seconds a byte of the answer: thousands of them take minutes, and no read is ever silent
SLOW_BATCH = 40


class TwoWorkers(Lab):
    """While a backlog waits before the sink, a second worker is started."""

    name = "two-workers"
    title = BilingualText("Two workers share the work", "两个 worker 分担工作")
    question = BilingualText(
        "Does a second worker help, or deliver the events that the first holds?",
        "第二个 worker 是分担工作，还是重复投递第一个正在处理的事件？",
    )
    hypothesis = BilingualText(
        "Both take part, and no event is claimed or counted twice.",
        "两者分担，且没有事件被重复领取或计数。",
    )
    settings = {"OUTBOX_LEASE_SECONDS": "60", "OUTBOX_BULK_SIZE": "20", "OUTBOX_CONCURRENCY": "1"}
    events = 20
    seconds = 6.0
    by_hand = (
        "outboxctl inject load --count 100000 --rate 0",
        "OUTBOX_WORKER_ID=w1 outboxctl worker &",
        "OUTBOX_WORKER_ID=w2 OUTBOX_METRICS_PORT=9109 outboxctl worker &",
        "outboxctl status  # both under `workers`",
        "curl -s localhost:9108/metrics localhost:9109/metrics | grep outbox_processed_total",
    )

    def inject(self, ctx: LabContext) -> None:
        """Start a second worker while the first has a backlog."""
        with ctx.proxy.hold("before apply"):
            ctx.load(300)
            ctx.fault("a second worker joins under load", ctx.worker("w2").start)
            ctx.confirm(
                ("the second worker runs", "第二个 worker 在运行"),
                lambda: ctx.worker("w2").running and ctx.counts().lag,
                within=3,
            )
            both = ("both hold events at the same time", "两者同时持有事件")
            ctx.expect_soon(both, lambda: ctx.owners() >= {"w1", "w2"})

    def check(self, ctx: LabContext) -> None:
        """Each event was claimed once and counted once."""
        ctx.expect_counts(done=ctx.written, attempts=ctx.written)
        ctx.expect_processed()
        for name, worker in ctx.workers.items():
            done = worker.metric("outbox_processed_total")
            ctx.conclude((f"processed by {name}", f"{name} 处理"), f"{done:g}")


class ZombieWorker(Lab):
    """SIGSTOP with a batch in flight; others reclaim it, and one still holds an event of it; SIGCONT."""

    name = "zombie-worker"
    title = BilingualText("A frozen worker resumes after its lease", "被冻结的 worker 迟到醒来")
    question = BilingualText(
        "Can a worker that was frozen past its lease undo what others have done since?",
        "冻结超过租约的 worker 醒来后，会破坏其他 worker 已完成的工作吗？",
    )
    hypothesis = BilingualText(
        "What it still sends and writes changes nothing: the lease is lost, and no document becomes older.",
        "它迟到的写入不命中任何行（lease lost 被计数），也没有文档回退到旧版本。",
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
        "outboxctl chaos worker pause --id w1",
        "OUTBOX_METRICS_PORT=9109 outboxctl worker &  # waits for the lease's end",
        "outboxctl chaos worker resume --id w1",
        "outboxctl verify",
    )

    def inject(self, ctx: LabContext) -> None:
        """Freeze the worker while the sink holds its batch."""
        worker = ctx.worker("w1")
        held_up = ctx.hold_up("the sink holds the batch of worker w1", "before apply")
        self.entities = ctx.load(BATCH)
        ctx.wait(lambda: len(ctx.held()) == BATCH, within=10 if held_up else 0)
        ctx.fault("SIGSTOP to worker w1", lambda: worker.send(SIGSTOP), lambda: worker.send(SIGCONT))
        frozen = ("it was frozen while it held a batch", "冻结时它持有一批事件")
        ctx.confirm(frozen, lambda: worker.frozen and len(ctx.held()), within=3)
        self.held = ctx.held()

    def observe(self, ctx: LabContext) -> None:
        """Two other workers take its events; resume it."""
        ctx.worker("w2", OUTBOX_LEASE_SECONDS=LONG_LEASE, OUTBOX_BULK_SIZE="1").start()
        other = ("another worker holds an event of it", "另一个 worker 持有其中的事件")
        ctx.expect_soon(other, lambda: "w2" in ctx.owners())
        ctx.write(self.entities)
        ctx.worker("w3", direct=True).start()
        ctx.expect_soon(
            ("a third one delivers all others", "第三个 worker 投递了其余事件"),
            lambda: {event.owner for event in ctx.events() if event.status != "done"} <= {"w2"},
        )
        self._resume(ctx)
        ctx.undo()

    def check(self, ctx: LabContext) -> None:
        """No late write changed a document; each event counted once."""
        ctx.expect(("versions in the index", "索引中的版本"), {2}, set(ctx.versions(self.entities)))
        ctx.expect_processed()

    def _resume(self, ctx: LabContext) -> None:
        """What it writes now must change no row, done or held by another worker."""
        before, worker = self._rows(ctx), ctx.worker("w1")
        worker.send(SIGCONT)
        ctx.log("SIGCONT to worker w1")
        lost = ctx.wait(lambda: int(worker.metric("outbox_lease_lost_total")))
        ctx.expect(("leases lost by the late worker", "迟到的 worker 发现租约已失"), len(self.held), lost)
        changed = sum(a != b for a, b in zip(before, self._rows(ctx), strict=True))
        ctx.expect(("events that it changed after it resumed", "它醒来后改动的事件数"), 0, changed)
        ctx.conclude(("events that it held when frozen", "冻结时持有的事件"), len(self.held))
        ctx.conclude(("lease lost", "lease lost 计数"), lost)

    def _rows(self, ctx: LabContext) -> list[object]:
        return list(ctx.events([event.id for event in self.held]))


class SlowSink(Lab):
    """Answers arrive a byte at a time for minutes, while a second worker waits for free events."""

    name = "slow-sink"
    title = BilingualText("A sink slower than the lease", "下游响应慢于租约")
    question = BilingualText(
        "Does a sink that answers too late make two workers send the same events?",
        "下游响应过慢时，同一事件会被两个 worker 同时处理吗？",
    )
    hypothesis = BilingualText(
        "The worker gives a request up at three quarters of the lease and puts the events back itself, with "
        "the reason timeout: no lease ends, no event is reclaimed, and nothing is lost.",
        "worker 在租约的四分之三处放弃请求并自行退回事件（error_reason 为 timeout）："
        "租约不会到期，无人 reclaim，事件不丢失。",
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": f"{LEASE:g}",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.2",
        "OUTBOX_BULK_SIZE": f"{SLOW_BATCH}",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.5",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    }
    events = 20
    seconds = 7.0
    by_hand = (
        f"outboxctl chaos proxy --fault drip --pace {PACE:g} --port 9201 --for 30s &",
        f"export OUTBOX_LEASE_SECONDS={LEASE:g} ELASTIC_URL=http://127.0.0.1:9201",
        "outboxctl worker --metrics-port 9108 & outboxctl worker --metrics-port 9109 &",
        "outboxctl inject load --count 40",
        "outboxctl stuck",
        "outboxctl status",
    )

    def prepare(self, ctx: LabContext) -> None:
        """Write rows and start two workers."""
        super().prepare(ctx)
        ctx.worker("w2").start()

    def inject(self, ctx: LabContext) -> None:
        """Slow the sink down, and write one batch."""
        ctx.proxy_fault(f"every bulk request is answered a byte each {PACE:g} s", faults.drip(PACE))
        ctx.load(SLOW_BATCH)
        ctx.confirm(("a request is held up", "有请求被拖慢"), lambda: ctx.proxy.counts.by_fault.get("drip"))

    def observe(self, ctx: LabContext) -> None:
        """Wait until the worker gives up, or another takes its events."""
        ctx.wait(lambda: self._timeouts(ctx) >= SLOW_BATCH or self._taken(ctx), within=4 * LEASE)
        timeouts = self._timeouts(ctx)
        ctx.expect(
            ("events put back with timeout", "以 timeout 退回的事件数"),
            f"at least {SLOW_BATCH}",
            timeouts,
            met=timeouts >= SLOW_BATCH,
        )

    def check(self, ctx: LabContext) -> None:
        """No event had two holders."""
        taken = ("events reclaimed or lost to another", "被 reclaim 或租约丢失的事件数")
        ctx.expect(taken, 0, self._taken(ctx))
        stuck = max((sample.look.stuck for sample in ctx.record.samples), default=0)
        ctx.expect(("most events stuck", "stuck 最大值"), 0, stuck)
        counts = ctx.expect_counts(done=ctx.written)
        times = ("lease, and time a byte of the answer took", "租约与响应每字节耗时")
        ctx.conclude(times, f"{LEASE:g} s, {PACE:g} s")
        ctx.conclude(("most attempts", "最大 attempts"), counts.attempts_most)

    def _timeouts(self, ctx: LabContext) -> int:
        return int(ctx.metric("outbox_retry_scheduled_total", reason="timeout"))

    def _taken(self, ctx: LabContext) -> int:
        return int(ctx.metric("outbox_reclaimed_total") + ctx.metric("outbox_lease_lost_total"))
