"""Many events that fail at the same moment, and must not come back at the same moment."""

from bisect import bisect_left
from collections.abc import Sequence
from time import monotonic

from outboxctl.core.documents import source_rows
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import ENTITY_TYPE, Scene
from outboxctl.drills.proxy import faults

HERD = 400
STEP = 4.0  # seconds of the first backoff: jitter spreads it from half to the whole
SLOT = 0.1
MOST_DUE = 0.2  # share of the herd in one slot; evenly spread it is a twentieth


class ThunderingHerd(Lab):
    """One outage fails them all at once; their retries are counted by tenths of a second."""

    name = "thundering-herd"
    title = BilingualText("A herd that comes back in single file", "重试不会形成惊群")
    question = BilingualText(
        "Do events that failed together come back together, and knock over a sink that has just risen?",
        "同时失败的事件会同时重试、再次压垮刚恢复的下游吗？",
    )
    hypothesis = BilingualText(
        "Jitter spreads their retries over half of the backoff's step: few fall due in any tenth of a "
        "second, and none is sent before it is due.",
        "jitter 将重试分散到退避步长的一半时间内：任何 0.1 秒内只有少量重试到期，且不会提前发送。",
    )
    settings = {
        "OUTBOX_BULK_SIZE": f"{HERD}",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": f"{STEP:g}",
        "OUTBOX_MAX_BACKOFF_SECONDS": f"{STEP:g}",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.05",
    }
    events = 50
    seconds = 9.0
    by_hand = (
        "outboxctl chaos proxy --fault unavailable --port 9201 --for 5s &",
        f"OUTBOX_BASE_BACKOFF_SECONDS={STEP:g} ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        f"outboxctl inject load --count {HERD}",
        "psql -c \"select date_bin('100 ms', next_retry_at, now()), count(*) from search_outbox_events "
        "where status = 'pending' group by 1 order by 1\"",
    )

    def inject(self, scene: Scene) -> None:
        """All of them in one request that is refused."""
        scene.fault(
            "503 to every bulk request",
            lambda: scene.proxy.set(faults.unavailable()),
            scene.proxy.clear,
        )
        scene.load(HERD)
        scene.took_hold(
            BilingualText("the herd was refused in one request", "整批事件在同一请求中被拒绝"),
            lambda: scene.proxy.counts.by_fault and any(len(b.ids) == HERD for b in scene.proxy.recent),
        )

    def observe(self, scene: Scene) -> None:
        """When are they due? Then the sink comes back, before the first of them does."""
        scene.expect_soon(
            BilingualText("all of them wait for a retry", "全部事件等待重试"),
            lambda: scene.look().waiting == HERD,
            within=STEP,
        )
        self.due = self._due(scene)
        self.refused = scene.proxy.counts.bulks

    def check(self, scene: Scene) -> None:
        """Spread when they fell due, and none came sooner: later is what a busy machine does."""
        most = busiest(list(self.due.values()))
        scene.expect(
            BilingualText("due in the busiest tenth of a second", "最繁忙 0.1 秒内到期的事件数"),
            f"at most {MOST_DUE:.0%} of {HERD}",
            most,
            met=most <= MOST_DUE * HERD,
        )
        bulks = [bulk for bulk in scene.proxy.recent if bulk.number >= self.refused]
        sent = [(id_, bulk.at) for bulk in bulks for id_ in bulk.ids]
        early = sum(at < self.due[id_] for id_, at in sent)
        scene.expect(BilingualText("sent before they were due", "到期之前就发送的事件数"), 0, early)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, scene.look().done)
        scene.conclude(
            BilingualText("due, and sent, at the peak of 0.1 s", "0.1 秒峰值：到期与发送"),
            f"{most}, {busiest([at for _, at in sent])}",
        )
        scene.conclude(BilingualText("requests after the outage", "恢复后的请求数"), len(bulks))

    def _due(self, scene: Scene) -> dict[str, float]:
        """When each document's retry is due, at the earliest, by the clock of `Bulk.at`."""
        ours = monotonic()
        theirs = scene.transact(source_rows.moment)  # not before ours
        return {
            f"{ENTITY_TYPE}:{event.entity_id}": ours + (event.next_retry_at - theirs).total_seconds()
            for event in scene.events()
            if event.next_retry_at
        }


def busiest(moments: Sequence[float]) -> int:
    """How many of these moments (in seconds) lie within the busiest tenth of a second."""
    ordered = sorted(moments)
    return max((bisect_left(ordered, start + SLOT) - i for i, start in enumerate(ordered)), default=0)
