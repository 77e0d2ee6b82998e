"""PostgreSQL dies under load and comes back."""

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills import services
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText, Need
from outboxctl.drills.labs.scene import Scene


class DbRestart(Lab):
    """The server is killed while a batch is at the sink, and started again."""

    name = "db-restart"
    title = BilingualText("PostgreSQL restarts under load", "负载下 PostgreSQL 重启")
    question = BilingualText(
        "Does a worker survive the restart of its database, and is anything lost or done twice?",
        "数据库重启时 worker 能否存活？会丢事件或重复处理吗？",
    )
    hypothesis = BilingualText(
        "It lives on: /healthz stays 200, /readyz names the database; then it goes on, nothing lost.",
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

    def inject(self, scene: Scene) -> None:
        """Kill the server while the sink has a batch that is not settled."""
        own = scene.namespace.own
        with scene.proxy.hold("after apply"):
            scene.load(300)
            scene.wait(scene.held, within=10)
            scene.fault(
                "PostgreSQL is killed",
                lambda: services.stop("postgres", own, kill=True),
                lambda: services.start_postgres(own),
            )
            scene.took_hold(
                BilingualText("the database is away", "数据库不可用"), lambda: _away(scene), within=3
            )

    def observe(self, scene: Scene) -> None:
        """The probes while it is away; then it is started again."""
        worker = scene.worker("w1")
        scene.expect_soon(
            BilingualText("/readyz names the database", "/readyz 指明 database"),
            lambda: "database" in worker.failing(),
            within=15,
            unless=lambda: not worker.running,
        )
        scene.expect(BilingualText("/healthz meanwhile", "期间 /healthz"), 200, worker.get("/healthz")[0])
        scene.undo()

    def check(self, scene: Scene) -> None:
        """The same process has done it all, once."""
        worker, now = scene.worker("w1"), scene.look()
        scene.expect(BilingualText("the worker lives", "worker 存活"), True, worker.running)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, now.done)
        processed = int(worker.metric("outbox_processed_total"))
        scene.expect(BilingualText("processed, by the metric", "processed 指标"), scene.written, processed)
        scene.conclude(
            BilingualText("events delivered after the restart", "重启后投递的事件"), now.done - self.events
        )


def _away(scene: Scene) -> bool:
    try:
        scene.look()
    except UnreachableError:
        return True
    return False
