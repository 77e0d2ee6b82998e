"""The sink answers, and refuses: some items of a bulk request, or everything under the policy `hold`."""

from outboxctl.domain import backoff
from outboxctl.domain.flow.sink_state import PROBE_EVENTS
from outboxctl.drills.labs import CHECK, OBSERVE, Lab, LabContext, Steps
from outboxctl.drills.proxy import faults
from outboxctl.drills.scratch.worker import UNREADY

SHARE = 0.3
RETRIED = 10  # refused events that must have been sent again before the fault ends
UNAVAILABLE = "503 to every bulk request"
ATTEMPTS = 3
PROBES = ATTEMPTS + 3  # requests refused: more than any event has attempts


class EsBulkPartial(Lab):
    """Three items in ten are refused inside an answer that is 200."""

    name = "es-bulk-partial"
    title = "Some items of a bulk request are refused"
    question = "Is an item that was refused inside a 200 detected, and is only that one sent again?"
    hypothesis = (
        "What was refused is retried until it is accepted; what was accepted is done and never sent again."
    )
    settings = {
        "OUTBOX_BULK_SIZE": "100",
        "OUTBOX_CONCURRENCY": "1",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "1",
        "OUTBOX_MAX_ATTEMPTS": "20",
    }
    events = 50
    seconds = 6.0
    by_hand = (
        f"outboxctl chaos proxy --fault some-items --share {SHARE} --port 9201 --for 20s &",
        "ELASTIC_URL=http://127.0.0.1:9201 outboxctl worker &",
        "outboxctl inject load --count 200",
        "outboxctl status  # attempts and error_reason of the oldest pending",
    )

    def experiment(self, ctx: LabContext) -> Steps:
        """Refuse the same items each time, chosen by their ids."""
        fault, before = faults.some_items(SHARE), ctx.proxy.counts.bulks
        ctx.proxy_fault(f"{SHARE:.0%} of the items refused with 429", fault)
        ctx.load(200)
        ctx.confirm("items were refused", lambda: ctx.proxy.counts.items_failed)
        yield OBSERVE
        ctx.expect_soon(
            "refused items are sent again",
            lambda: sum(times > 1 for times in ctx.times_sent(before).values()) >= RETRIED,
            within=10,
            unless=ctx.idle,
        )
        reasons = ", ".join(sorted({event.error_reason for event in ctx.events() if event.error_reason}))
        ctx.expect("their reason", "rate_limited", reasons)
        yield CHECK
        sent = ctx.times_sent(before).items()
        accepted = [times for id_, times in sent if not (fault.items and fault.items(id_))]
        ctx.expect("events that were accepted and sent again", 0, sum(times > 1 for times in accepted))
        ctx.expect_counts(done=ctx.written)
        ctx.expect_processed()


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

    def experiment(self, ctx: LabContext) -> Steps:
        """Answer every request with 503, more often than an event has attempts."""
        before = ctx.proxy.counts.bulks
        ctx.proxy_fault(UNAVAILABLE, faults.unavailable())
        ctx.load(200)  # four batches
        ctx.confirm("requests were answered 503", lambda: ctx.proxy.counts.struck)
        yield OBSERVE
        ctx.expect_soon("/readyz is 503 and says why", lambda: _unready(ctx), within=10, unless=ctx.idle)
        probes = "it goes on probing"
        ctx.expect_soon(probes, lambda: len(ctx.bulks_since(before)) >= PROBES, within=10, unless=ctx.idle)
        bulks = ctx.bulks_since(before)
        _expect_pauses(ctx, [bulk.at for bulk in bulks])
        ctx.expect("events failed meanwhile", 0, ctx.counts().failed)
        yield CHECK
        ctx.expect_counts(attempts_most=1, done=ctx.written)
        largest = max((len(bulk.ids) for bulk in bulks[1:]), default=0)
        ctx.expect("largest probe", f"at most {PROBE_EVENTS}", largest, met=0 < largest <= PROBE_EVENTS)
        ctx.expect_soon("/readyz is 200 again", lambda: ctx.ready("w1"), within=10)


def _expect_pauses(ctx: LabContext, times: list[float]) -> None:
    """No more requests than fit between the breaker's shortest pauses, which grow."""
    s = ctx.settings
    least = backoff.survives(len(times), base=s.base_backoff_seconds, cap=s.max_backoff_seconds)
    took = max(times) - min(times)
    expected = f"{len(times)} requests in at least {least:.2f} s"
    ctx.expect("pauses between probes", expected, f"in {took:.2f} s", met=took >= least)


def _unready(ctx: LabContext) -> bool:
    status, why = ctx.worker("w1").get("/readyz")
    return status == UNREADY and "circuit open" in why
