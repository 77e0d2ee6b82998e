"""The sink answers 503 to everything: what the policy `hold` costs an event."""

from outboxctl.domain import backoff
from outboxctl.domain.flow import PROBE_EVENTS
from outboxctl.drills.labs import Lab, LabContext
from outboxctl.drills.proxy import faults
from outboxctl.drills.scratch.worker import UNREADY

UNAVAILABLE = "503 to every bulk request"
ATTEMPTS = 3
PROBES = ATTEMPTS + 3  # requests refused: more than any event has attempts


class OutageHold(Lab):
    """Every bulk request is answered 503 for longer than the attempts would last."""

    name = "outage-hold"
    title = "An outage that uses no attempts (hold)"
    question = "Does an outage that lasts longer than the attempts fail the events?"
    hypothesis = (
        "Under hold the circuit opens, a few events probe the sink, attempts are restored, /readyz is "
        "503; when the sink is back everything is delivered at its first attempt, by itself."
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
        refused = "requests were answered 503"
        ctx.confirm(refused, lambda: ctx.proxy.counts.struck)

    def observe(self, ctx: LabContext) -> None:
        """Wait until more requests were refused than an event has attempts."""
        ctx.expect_soon("/readyz is 503 and says why", lambda: self._unready(ctx), within=10, unless=ctx.idle)
        ctx.expect_soon(
            "it goes on probing",
            lambda: len(ctx.bulks_since(self.before)) >= PROBES,
            within=10,
            unless=ctx.idle,
        )
        self.sizes = [len(bulk.ids) for bulk in ctx.bulks_since(self.before)]
        self._expect_pauses(ctx)
        ctx.expect("events failed meanwhile", 0, ctx.counts().failed)

    def check(self, ctx: LabContext) -> None:
        """No attempt was used, and the worker became ready by itself."""
        ctx.expect_counts(attempts_most=1, done=ctx.written)
        largest = max(self.sizes[1:], default=0)
        ctx.expect("largest probe", f"at most {PROBE_EVENTS}", largest, met=0 < largest <= PROBE_EVENTS)
        ctx.expect_soon("/readyz is 200 again", lambda: ctx.ready("w1"), within=10)

    def _expect_pauses(self, ctx: LabContext) -> None:
        """No more requests than fit between the breaker's shortest pauses, which grow."""
        s, times = ctx.settings, [bulk.at for bulk in ctx.bulks_since(self.before)]
        least = backoff.survives(len(times), base=s.base_backoff_seconds, cap=s.max_backoff_seconds)
        took = max(times) - min(times)
        ctx.expect(
            "pauses between probes",
            f"{len(times)} requests in at least {least:.2f} s",
            f"in {took:.2f} s",
            met=took >= least,
        )

    def _unready(self, ctx: LabContext) -> bool:
        status, why = ctx.worker("w1").get("/readyz")
        return status == UNREADY and "circuit open" in why
