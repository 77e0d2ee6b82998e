"""Lab 2 of the document: an outage of the sink is waited out, with backoff and jitter."""

from outboxctl.core.stats import snapshot
from outboxctl.domain import backoff
from outboxctl.drills.labs import outage
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText, Need
from outboxctl.drills.labs.scene import Scene

CAUGHT = 100  # events written while the sink is away
ROUNDS = 3  # retries of each that are waited for


class OutageAndBackoff(Lab):
    """The search engine stops under load and comes back."""

    name = "outage-and-backoff"
    number = 2
    title = BilingualText("An outage of ES: retries that back off", "ES 不可用（连接错误/5xx）→ retry 收敛")
    question = BilingualText(
        "Does the queue hammer a sink that is away, or give its events up?",
        "暂时性故障时，队列会“自残式狂刷”吗？会把事件判为 failed 吗？",
    )
    hypothesis = BilingualText(
        "Events wait in pending with a jittered next_retry_at that grows; none fails, and all are delivered "
        "once ES is back.",
        "事件进入 pending + next_retry_at，且带 backoff+jitter；没有事件进入终态 failed；ES 恢复后全部投递。",
    )
    # Attempts enough that lab 4 does not happen on the way (the document's own advice, section 5.5.3).
    settings = {
        "OUTBOX_MAX_ATTEMPTS": "100",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.5",
        "OUTBOX_MAX_BACKOFF_SECONDS": "2",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    }
    wants = frozenset({Need.OWN_ENGINE})
    seconds, engine_start = 9.0, 20.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl chaos es stop",
        "outboxctl inject load --total 100 --rate 0",
        "curl -s localhost:9108/metrics | grep ^outbox_retry_scheduled_total | grep -v ' 0.0'",
        "outboxctl oldest",
        "outboxctl chaos es start",
        "outboxctl status  # all is done soon",
        "kill %1",
    )
    judged = BilingualText("v2 backoff and jitter:", "v2 backoff+jitter")

    def prepare(self, scene: Scene) -> None:
        """A load, and a worker that sends to whatever is going to be taken away."""
        scene.load(self.events)
        scene.worker("w1", direct=scene.namespace.own is not None).start()

    def inject(self, scene: Scene) -> None:
        """Take the sink away, then write events."""
        self.way = outage.stop(scene)
        scene.load(CAUGHT)

    def observe(self, scene: Scene) -> None:
        """Retries are scheduled again and again, spread over time, and no event is given up."""
        worker = scene.worker("w1")
        self.growing = scene.expect_soon(
            BilingualText(
                "outbox_retry_scheduled_total goes on growing", "outbox_retry_scheduled_total 持续增长"
            ),
            lambda: worker.metric("outbox_retry_scheduled_total") >= ROUNDS * CAUGHT,
        )
        scene.expect_soon(
            BilingualText(
                "events wait for a next_retry_at in the future", "pending 行 next_retry_at 被推迟到未来"
            ),
            lambda: scene.look().waiting >= CAUGHT / 2,
            within=10,
        )
        self._check_gauges(scene)
        self._spread(scene)
        self.controlled = self._controlled(scene)
        failed = scene.look().failed
        scene.expect(BilingualText("no event fails for good", "终态 failed 不增长"), 0, failed)

    def recover(self, scene: Scene) -> None:
        """All is delivered within the longest backoff, and what a busy machine adds."""
        scene.recovered()

    def check(self, scene: Scene) -> None:
        """Everything arrived; the document's conclusion."""
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, scene.look().done)
        scene.conclude(BilingualText("way of injection", "故障注入方式"), self.way)
        scene.conclude(BilingualText("the retry metric grows", "retry 指标是否增长"), bool(self.growing))
        scene.conclude(BilingualText("attempts are under control", "attempts 是否可控"), self.controlled)

    def _check_gauges(self, scene: Scene) -> None:
        """The gauges that the document looks at first: nobody would know of the outage without them."""
        worker = scene.worker("w1")
        scene.expect_soon(
            BilingualText(
                "outbox_lag_events and outbox_oldest_age_seconds rise",
                "outbox_lag_events 与 outbox_oldest_age_seconds 上升",
            ),
            lambda: (
                worker.metric("outbox_lag_events") == CAUGHT
                and worker.metric("outbox_oldest_age_seconds") > 0
            ),
            within=10,
        )

    def _spread(self, scene: Scene) -> None:
        """A batch is put back at one moment: without jitter all of it would come back at one, too."""
        pending = scene.transact(lambda connection: snapshot.oldest(connection, limit=CAUGHT))
        times = {event.next_retry_at for event in pending if event.next_retry_at}
        scene.expect(
            BilingualText("their times are spread by jitter", "next_retry_at 带 jitter（不集中）"),
            f"at least {CAUGHT // 2} different",
            f"{len(times)} different",
            met=len(times) >= CAUGHT / 2,
        )

    def _controlled(self, scene: Scene) -> bool:
        """No event is due again sooner than the shortest waits after each of its attempts, growing ones."""
        s = scene.settings
        given = {"base": s.base_backoff_seconds, "cap": s.max_backoff_seconds}
        waits = [
            (event.attempts, (event.next_retry_at - event.created_at).total_seconds())
            for event in scene.events()
            if event.status == "pending" and event.next_retry_at and event.created_at
        ]
        hasty = [wait for wait in waits if wait[1] < backoff.survives(wait[0] + 1, **given)]
        return scene.expect(
            BilingualText("attempts do not explode", "attempts 增长但不会爆炸"),
            "0 events due sooner than growing waits allow",
            f"{len(hasty)} of {len(waits)}{_such_as(hasty)}",
            met=bool(waits) and not hasty,
        )


def _such_as(hasty: list[tuple[int, float]]) -> str:
    return "".join(f", such as attempt {n} after {seconds:.1f} s" for n, seconds in hasty[:1])
