"""The database takes no writes for a while, as after a failover to a standby."""

from outboxctl.core.sessions import set_read_only
from outboxctl.core.stats import snapshot
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText, Need
from outboxctl.drills.labs.scene import READY, Scene


class DbReadonly(Lab):
    """Every session is ended, and those that come after it may only read."""

    name = "db-readonly"
    title = BilingualText("The database becomes read-only", "数据库变为只读")
    question = BilingualText(
        "Does a worker notice a database that answers and takes no writes, and recover from it?",
        "数据库可读但不可写时，worker 能察觉并在恢复后继续吗？",
    )
    hypothesis = BilingualText(
        "/readyz is 503 and names the database, /healthz stays 200; afterwards it goes on, nothing lost.",
        "/readyz 返回 503 并指明 database，/healthz 保持 200；恢复可写后继续，无丢失。",
    )
    needs = frozenset({Need.PRIVATE_DATABASE})
    settings = {"OUTBOX_BULK_SIZE": "50", "OUTBOX_CONCURRENCY": "1"}
    events = 50
    seconds = 6.0
    by_hand = (
        "outboxctl worker &",
        "DB=${DATABASE_URL/+psycopg/} NAME=${DATABASE_URL##*/}  # as psql has it",
        'psql "$DB" -c "ALTER DATABASE $NAME SET default_transaction_read_only = on"',
        "outboxctl chaos db terminate",
        "curl -i http://localhost:9108/readyz",
        'psql "$DB" -c "BEGIN READ WRITE; ALTER DATABASE $NAME RESET default_transaction_read_only; COMMIT"',
        "outboxctl status",
    )

    def inject(self, scene: Scene) -> None:
        """Take the right to write away while a batch is under way."""
        with scene.proxy.hold("before apply"):
            scene.load(200)
            scene.wait(scene.held, within=10)
            scene.fault(
                "the database is read-only",
                lambda: self._forbid(scene),
                lambda: scene.transact(lambda c: set_read_only(c, on=False)),
            )
            scene.took_hold(
                BilingualText("writes are refused", "写入被拒绝"),
                lambda: not scene.transact(snapshot.writable),
                within=3,
            )

    def observe(self, scene: Scene) -> None:
        """What the probes say of it."""
        worker = scene.worker("w1")
        scene.expect_soon(
            BilingualText("/readyz names the database", "/readyz 指明 database"),
            lambda: "database" in worker.failing(),
            within=15,
        )
        scene.expect(BilingualText("/healthz meanwhile", "期间 /healthz"), READY, worker.get("/healthz")[0])
        scene.undo()

    def check(self, scene: Scene) -> None:
        """All was done, and counted once."""
        worker = scene.worker("w1")
        scene.expect_soon(
            BilingualText("ready again", "恢复就绪"), lambda: worker.get("/readyz")[0] == READY, within=15
        )
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, scene.look().done)
        processed = int(worker.metric("outbox_processed_total"))
        scene.expect(BilingualText("processed, by the metric", "processed 指标"), scene.written, processed)

    def _forbid(self, scene: Scene) -> None:
        scene.transact(lambda c: set_read_only(c, on=True))
        ended = scene.terminate()
        scene.say(f"sessions ended: {ended}")
