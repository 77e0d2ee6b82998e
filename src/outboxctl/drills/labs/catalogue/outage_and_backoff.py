"""Lab 2 of the document: retries with backoff and jitter while the sink is unreachable."""

from outboxctl.core.stats import snapshot
from outboxctl.domain import backoff
from outboxctl.drills.labs import CHECK, OBSERVE, Lab, LabContext, Steps, outage

CAUGHT = 100  # events written during the outage
ROUNDS = 3  # retries of each that are waited for
RETRIES, LAG, AGE = "outbox_retry_scheduled_total", "outbox_lag_events", "outbox_oldest_age_seconds"


class OutageAndBackoff(Lab):
    """The search engine stops under load and comes back."""

    name = "outage-and-backoff"
    number = 2
    title = "An outage of ES: retries that back off"
    question = "Does the queue flood a sink that is unreachable, or fail its events?"
    hypothesis = (
        "Events wait in pending with a jittered next_retry_at that grows; none fails, and all are delivered "
        "once ES is back."
    )
    # Attempts enough that lab 4 does not happen on the way (the document's own advice, section 5.5.3).
    settings = {
        "OUTBOX_MAX_ATTEMPTS": "100",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.5",
        "OUTBOX_MAX_BACKOFF_SECONDS": "2",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    }
    own_engine = True
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
    judged = "v2 backoff and jitter:"

    def experiment(self, ctx: LabContext) -> Steps:
        """Stop the sink, then write events: retries at spread times, and none fails."""
        worker, injection = ctx.worker("w1"), outage.stop(ctx)
        ctx.load(CAUGHT)
        yield OBSERVE
        grows = f"{RETRIES} goes on growing"
        growing = ctx.expect_soon(grows, lambda: worker.metric(RETRIES) >= ROUNDS * CAUGHT)
        waiting = "events wait for a next_retry_at in the future"
        ctx.expect_soon(waiting, lambda: ctx.counts().waiting >= CAUGHT / 2, within=10)
        ctx.expect_soon(  # the gauges by which an outage is noticed
            f"{LAG} and {AGE} rise",
            lambda: worker.metric(LAG) == CAUGHT and worker.metric(AGE) > 0,
            within=10,
        )
        _expect_spread(ctx)
        controlled = _expect_growing_waits(ctx)
        ctx.expect("no event fails for good", 0, ctx.counts().failed)
        yield CHECK
        ctx.expect_counts(done=ctx.written)
        ctx.conclude("way of injection", injection)
        ctx.conclude("the retry metric grows", bool(growing))
        ctx.conclude("attempts are under control", controlled)


def _expect_spread(ctx: LabContext) -> None:
    """Without jitter all events of a batch, put back at one time, would be due at one time."""
    pending = ctx.transact(lambda connection: snapshot.oldest(connection, limit=CAUGHT))
    times, least = {event.next_retry_at for event in pending if event.next_retry_at}, CAUGHT // 2
    spread = "their times are spread by jitter"
    ctx.expect(spread, f"at least {least} different", f"{len(times)} different", met=len(times) >= least)


def _expect_growing_waits(ctx: LabContext) -> bool:
    """No event is due sooner than the shortest possible waits after its attempts add up to."""
    base, cap = ctx.settings.base_backoff_seconds, ctx.settings.max_backoff_seconds
    waits = [
        (event.attempts, (event.next_retry_at - event.created_at).total_seconds())
        for event in ctx.events()
        if event.status == "pending" and event.next_retry_at and event.created_at
    ]
    early = [
        f", such as attempt {attempts} after {seconds:.1f} s"
        for attempts, seconds in waits
        if seconds < backoff.survives(attempts + 1, base=base, cap=cap)
    ]
    return ctx.expect(
        "attempts do not explode",
        "0 events due sooner than growing waits allow",
        f"{len(early)} of {len(waits)}{''.join(early[:1])}",
        met=bool(waits) and not early,
    )
