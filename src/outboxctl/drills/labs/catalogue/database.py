"""The database becomes read-only, restarts, or ends the worker's sessions."""

from typing import TYPE_CHECKING

from outboxctl.core.sessions import set_read_only
from outboxctl.core.stats import snapshot
from outboxctl.domain.errors import UnreachableError
from outboxctl.drills import services
from outboxctl.drills.labs import BilingualText, Lab, LabContext, Need
from outboxctl.drills.labs.context import OK

if TYPE_CHECKING:
    from uuid import UUID

TIMES, BATCH = 3, 50


class DbReadonly(Lab):
    """All sessions are ended, and new ones may only read, as after a failover to a standby."""

    name = "db-readonly"
    title = BilingualText("The database becomes read-only", "数据库变为只读")
    question = BilingualText(
        "Does a worker detect a database that refuses writes, and go on once it takes them?",
        "数据库可读但不可写时，worker 能察觉并在恢复后继续吗？",
    )
    hypothesis = BilingualText(
        "/readyz is 503 and names the database, /healthz stays 200; afterwards it goes on, nothing lost.",
        "/readyz 返回 503 并指明 database，/healthz 保持 200；恢复可写后继续，无丢失。",
    )
    needs = frozenset({Need.PRIVATE_DATABASE})
    settings = {"OUTBOX_BULK_SIZE": "50", "OUTBOX_CONCURRENCY": "1"}
    events = 50
    seconds = 5.0
    by_hand = (
        "outboxctl worker &",
        "DB=${DATABASE_URL/+psycopg/} NAME=${DATABASE_URL##*/}  # as psql has it",
        'psql "$DB" -c "ALTER DATABASE $NAME SET default_transaction_read_only = on"',
        "outboxctl chaos db terminate",
        "curl -i http://localhost:9108/readyz",
        'psql "$DB" -c "BEGIN READ WRITE; ALTER DATABASE $NAME RESET default_transaction_read_only; COMMIT"',
        "outboxctl status",
    )

    def inject(self, ctx: LabContext) -> None:
        """Make the database read-only while the sink holds a batch."""
        with ctx.proxy.hold("before apply"):
            ctx.load(200)
            ctx.wait(ctx.held, within=10)
            ctx.fault(
                "the database is read-only",
                lambda: self._forbid(ctx),
                lambda: ctx.transact(lambda c: set_read_only(c, on=False)),
            )
            refused = ("writes are refused", "写入被拒绝")
            ctx.confirm(refused, lambda: not ctx.transact(snapshot.writable), within=3)

    def observe(self, ctx: LabContext) -> None:
        """Read /readyz and /healthz."""
        _expect_unready(ctx)
        ctx.undo()

    def check(self, ctx: LabContext) -> None:
        """All events are done, each counted once."""
        ctx.expect_soon(("ready again", "恢复就绪"), lambda: ctx.ready("w1"), within=15)
        ctx.expect_counts(done=ctx.written)
        ctx.expect_processed()

    def _forbid(self, ctx: LabContext) -> None:
        ctx.transact(lambda c: set_read_only(c, on=True))
        ctx.log(f"sessions ended: {ctx.terminate()}")


class DbRestart(Lab):
    """The server is killed while the sink holds a batch, and started again."""

    name = "db-restart"
    title = BilingualText("PostgreSQL restarts under load", "负载下 PostgreSQL 重启")
    question = BilingualText(
        "Does a worker survive the restart of its database, and is anything lost or done twice?",
        "数据库重启时 worker 能否存活？会丢事件或重复处理吗？",
    )
    hypothesis = BilingualText(
        "It keeps running: /healthz stays 200, /readyz names the database; then it goes on, nothing lost.",
        "worker 存活：/healthz 保持 200，/readyz 指明 database；恢复后继续，无丢失。",
    )
    needs = frozenset({Need.OWN_DATABASE})
    settings = {"OUTBOX_BULK_SIZE": "50", "OUTBOX_CONCURRENCY": "1"}
    events = 50
    seconds = 10.0
    by_hand = (
        "outboxctl inject load --count 20000 --rate 0",
        "outboxctl worker &",
        "outboxctl services status  # the pid of postgres",
        "kill -9 PID  # with Docker: docker kill CONTAINER",
        "curl -i http://localhost:9108/healthz; curl -i http://localhost:9108/readyz",
        "outboxctl services up  # starts it again",
        "outboxctl status",
    )

    def inject(self, ctx: LabContext) -> None:
        """Kill the server while the sink holds an unsettled batch."""
        own = ctx.namespace.own
        with ctx.proxy.hold("after apply"):
            ctx.load(300)
            ctx.wait(ctx.held, within=10)
            ctx.fault(
                "PostgreSQL is killed",
                lambda: services.stop("postgres", own, kill=True),
                lambda: services.start_postgres(own),
            )
            ctx.confirm(("the database is unreachable", "数据库不可用"), lambda: _unreachable(ctx), within=3)

    def observe(self, ctx: LabContext) -> None:
        """Read /readyz and /healthz, then start the server again."""
        _expect_unready(ctx)
        ctx.undo()

    def check(self, ctx: LabContext) -> None:
        """The same process has delivered all events, each once."""
        ctx.expect(("the worker runs", "worker 存活"), True, ctx.worker("w1").running)
        counts = ctx.expect_counts(done=ctx.written)
        ctx.expect_processed()
        ctx.conclude(("events delivered after the restart", "重启后投递的事件"), counts.done - self.events)


class DbTerminate(Lab):
    """pg_terminate_backend while batches are in flight, several times."""

    name = "db-terminate"
    title = BilingualText("The database ends the worker's sessions", "数据库终止 worker 的会话")
    question = BilingualText(
        "What does a worker lose when the database ends its sessions in the middle of a batch?",
        "批次处理途中会话被数据库终止，worker 会丢失什么？",
    )
    hypothesis = BilingualText(
        "Nothing: it connects again and settles what it holds; nothing is sent twice or waits for a lease.",
        "什么都不丢：worker 重连并结算手中的批次，无重复发送，也无需等待租约到期。",
    )
    needs = frozenset({Need.PRIVATE_DATABASE})
    settings = {
        "OUTBOX_LEASE_SECONDS": "5",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.5",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 50
    seconds = 5.0
    by_hand = (
        "outboxctl inject load --count 20000 --rate 0",
        "outboxctl worker & sleep 5  # one that is not up yet would end",
        "outboxctl chaos db terminate --for 5s --every 1s",
        "outboxctl status",
    )

    def inject(self, ctx: LabContext) -> None:
        """End the sessions while the sink has a batch, several times."""
        self.entities = [entity for _ in range(TIMES) for entity in self._once(ctx)]

    def check(self, ctx: LabContext) -> None:
        """Each event was claimed once, and settled under that claim."""
        ctx.expect(("/healthz", "/healthz"), OK, ctx.worker("w1").get("/healthz")[0])
        ctx.expect_counts(done=ctx.written, attempts=ctx.written)
        twice = sum(times > 1 for times in ctx.times_sent(self.entities))
        ctx.expect(("documents sent twice", "重复发送的文档"), 0, twice)
        ctx.expect(("events reclaimed", "被回收的事件"), 0, ctx.worker("w1").reclaimed())
        ctx.expect_processed()
        ctx.conclude(("rounds", "轮数"), TIMES)

    def _once(self, ctx: LabContext) -> "list[UUID]":
        with ctx.proxy.hold("after apply") as gate:
            entities = ctx.load(BATCH)
            gate.wait(within=10)
            held = len(ctx.held())
            ended = ctx.fault("sessions are ended", ctx.terminate)
            ctx.confirm(
                ("sessions were ended while events were processing", "终止会话时有事件在处理"),
                lambda: ended and held,
                within=0,
            )
        return entities


def _expect_unready(ctx: LabContext) -> None:
    worker = ctx.worker("w1")
    ctx.expect_soon(
        ("/readyz names the database", "/readyz 指明 database"),
        lambda: "database" in worker.failing(),
        within=15,
        unless=lambda: not worker.running,
    )
    ctx.expect(("/healthz meanwhile", "期间 /healthz"), OK, worker.get("/healthz")[0])


def _unreachable(ctx: LabContext) -> bool:
    try:
        ctx.counts()
    except UnreachableError:
        return True
    return False
