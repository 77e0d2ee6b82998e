"""The sink answers 503 to everything: what `hold` costs an event, and when retries come."""

from bisect import bisect_left
from collections.abc import Sequence
from time import monotonic

from outboxctl.core.documents import source_rows
from outboxctl.domain import backoff
from outboxctl.drills.labs import BilingualText, Lab, LabContext
from outboxctl.drills.labs.context import document_id
from outboxctl.drills.proxy import faults
from outboxctl.drills.scratch.worker import UNREADY
from outboxctl.worker.circuit import PROBE_EVENTS

UNAVAILABLE = "503 to every bulk request"
ATTEMPTS = 3
PROBES = ATTEMPTS + 3  # requests refused: more than any event has attempts
HERD = 400
STEP = 4.0  # seconds of the first backoff: jitter spreads it from half of that to all
SLOT = 0.1
MOST_DUE = 0.2  # share of the herd in one slot; evenly spread it is a twentieth


class OutageHold(Lab):
    """Every bulk request is answered 503 for longer than the attempts would last."""

    name = "outage-hold"
    title = BilingualText("An outage that uses no attempts (hold)", "故障期间不消耗尝试次数（hold）")
    question = BilingualText(
        "Does an outage that lasts longer than the attempts fail the events?",
        "故障时间超过尝试次数所能支撑的时长时，事件会变成 failed 吗？",
    )
    hypothesis = BilingualText(
        "Under hold the circuit opens, a few events probe the sink, attempts are restored, /readyz is "
        "503; when the sink is back everything is delivered at its first attempt, by itself.",
        "hold 策略下熔断打开，用少量事件探测，尝试次数退还，/readyz 返回 503；下游恢复后全部以首次尝试投递。",
    )
    settings = {
        "OUTBOX_OUTAGE_POLICY": "hold",
        "OUTBOX_MAX_ATTEMPTS": f"{ATTEMPTS}",
        "OUTBOX_BULK_SIZE": "50",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.1",
        "OUTBOX_MAX_BACKOFF_SECONDS": "0.4",
    }
    events = 50
    seconds = 6.0
    by_hand = (
        "outboxctl chaos proxy --fault unavailable --port 9201 --for 30s &",
        "OUTBOX_OUTAGE_POLICY=hold ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --count 200",
        "curl -s localhost:9108/readyz",
        "outboxctl status --watch 1",
    )

    def inject(self, ctx: LabContext) -> None:
        """Answer every request with 503, and write four batches of events."""
        self.before = ctx.proxy.counts.bulks
        ctx.proxy_fault(UNAVAILABLE, faults.unavailable())
        ctx.load(200)
        refused = ("requests were answered 503", "有请求得到 503")
        ctx.confirm(refused, lambda: ctx.proxy.counts.by_fault.get("unavailable"))

    def observe(self, ctx: LabContext) -> None:
        """Wait until more requests were refused than an event has attempts."""
        why = ("/readyz is 503 and says why", "/readyz 返回 503 并说明原因")
        ctx.expect_soon(why, lambda: self._unready(ctx), within=10, unless=ctx.idle)
        ctx.expect_soon(
            ("it goes on probing", "持续探测下游"),
            lambda: len(ctx.bulks_since(self.before)) >= PROBES,
            within=10,
            unless=ctx.idle,
        )
        self.sizes = [len(bulk.ids) for bulk in ctx.bulks_since(self.before)]
        self._expect_pauses(ctx)
        ctx.expect(("events failed meanwhile", "故障期间 failed 事件数"), 0, ctx.counts().failed)

    def check(self, ctx: LabContext) -> None:
        """No attempt was used, and the worker became ready by itself."""
        ctx.expect_counts(attempts_most=1, done=ctx.written)
        largest = max(self.sizes[1:], default=0)
        few = f"at most {PROBE_EVENTS}"
        ctx.expect(("largest probe", "探测的最大批量"), few, largest, met=0 < largest <= PROBE_EVENTS)
        ctx.expect_soon(("/readyz is 200 again", "/readyz 恢复 200"), lambda: ctx.ready("w1"), within=10)
        window = ctx.record.windows[-1]
        ctx.conclude(("the outage lasted", "故障时长"), f"{(window.ended or 0.0) - window.began:.1f} s")
        requests = ("requests refused, attempts allowed", "被拒请求数与尝试上限")
        ctx.conclude(requests, f"{len(self.sizes)}, {ATTEMPTS}")

    def _expect_pauses(self, ctx: LabContext) -> None:
        """No more requests than fit between the breaker's shortest pauses, which grow."""
        s, times = ctx.settings, [bulk.at for bulk in ctx.bulks_since(self.before)]
        least = backoff.survives(len(times), base=s.base_backoff_seconds, cap=s.max_backoff_seconds)
        took = max(times) - min(times)
        ctx.expect(
            ("pauses between probes", "探测之间有间隔"),
            f"{len(times)} requests in at least {least:.2f} s",
            f"in {took:.2f} s",
            met=took >= least,
        )

    def _unready(self, ctx: LabContext) -> bool:
        status, why = ctx.worker("w1").get("/readyz")
        return status == UNREADY and "circuit open" in why


class ThunderingHerd(Lab):
    """One outage fails all events at once; their retries are counted by tenths of a second."""

    name = "thundering-herd"
    title = BilingualText("Retries after an outage are spread over time", "重试不会形成惊群")
    question = BilingualText(
        "Are events that failed at one moment retried at one moment, and overload a sink that is back?",
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

    def inject(self, ctx: LabContext) -> None:
        """Refuse all events in one request."""
        ctx.proxy_fault(UNAVAILABLE, faults.unavailable())
        ctx.load(HERD)
        ctx.confirm(
            ("all were refused in one request", "整批事件在同一请求中被拒绝"),
            lambda: ctx.proxy.counts.by_fault and any(len(b.ids) == HERD for b in ctx.proxy.recent),
        )

    def observe(self, ctx: LabContext) -> None:
        """Record when each is due; end the outage before that."""
        waiting = ("all of them wait for a retry", "全部事件等待重试")
        ctx.expect_soon(waiting, lambda: ctx.counts().waiting == HERD, within=STEP)
        self.due = self._due(ctx)
        self.refused = ctx.proxy.counts.bulks

    def check(self, ctx: LabContext) -> None:
        """Due times are spread; no retry came early (late is allowed)."""
        most = busiest(list(self.due.values()))
        ctx.expect(
            ("due in the busiest tenth of a second", "最繁忙 0.1 秒内到期的事件数"),
            f"at most {MOST_DUE:.0%} of {HERD}",
            most,
            met=most <= MOST_DUE * HERD,
        )
        bulks = ctx.bulks_since(self.refused)
        sent = [(id_, bulk.at) for bulk in bulks for id_ in bulk.ids]
        early = sum(at < self.due[id_] for id_, at in sent)
        ctx.expect(("sent before they were due", "到期之前就发送的事件数"), 0, early)
        ctx.expect_counts(done=ctx.written)
        peaks = ("due, and sent, at the peak of 0.1 s", "0.1 秒峰值：到期与发送")
        ctx.conclude(peaks, f"{most}, {busiest([at for _, at in sent])}")
        ctx.conclude(("requests after the outage", "恢复后的请求数"), len(bulks))

    def _due(self, ctx: LabContext) -> dict[str, float]:
        """When each document's retry is due, at the earliest, by the clock of `Bulk.at`."""
        here = monotonic()
        database = ctx.transact(source_rows.moment)  # not before `here`
        return {
            document_id(event.entity_id): here + (event.next_retry_at - database).total_seconds()
            for event in ctx.events()
            if event.next_retry_at
        }


def busiest(moments: Sequence[float]) -> int:
    """How many of these moments (in seconds) lie within the busiest tenth of a second."""
    ordered = sorted(moments)
    return max((bisect_left(ordered, start + SLOT) - i for i, start in enumerate(ordered)), default=0)
