"""Labs 3 and 4 of the document: errors that no retry can repair, and retries without end."""

from outboxctl.core.operator import failed
from outboxctl.core.operator.selection import Selection
from outboxctl.domain.failures import Reason
from outboxctl.drills.labs import CHECK, OBSERVE, RECOVER, Lab, LabContext, Steps

BAD_OP = "not-a-real-op"
NEIGHBOURS = 20
REASON = "deterministic_exception"
ERROR = f"Unknown outbox op: {BAD_OP!r}"
CAUGHT = 100  # events written during the outage
LATER = 20  # and after it
TERMINAL = "outbox_terminal_failed_total by this reason"


class BadOp(Lab):
    """An event whose op is unknown."""

    name = "bad-op"
    number = 3
    title = "A deterministic error fails at once"
    question = "Is an event that can never be delivered retried without end?"
    hypothesis = (
        "It becomes failed at its first attempt, with a reason and an error, and delays no other event."
    )
    seconds = 4.0
    by_hand = (
        "outboxctl inject bad-op",
        "outboxctl worker --drain",
        "outboxctl failed list",
        "outboxctl failed show ID  # the one that inject printed",
    )
    judged = "deterministic errors end:"

    def experiment(self, ctx: LabContext) -> Steps:
        """Insert one bad event and valid ones, in one batch."""
        worker = ctx.worker("w1")
        bad = ctx.fault("an event with an unknown op", lambda: ctx.insert(op=BAD_OP, beside=NEIGHBOURS))
        ctx.confirm("the bad event is in the table", lambda: ctx.events([bad])[0].op == BAD_OP, within=2)
        yield CHECK  # section 6.3
        event = ctx.events([bad])[0]
        ctx.expect("its status", "failed", event.status)
        ctx.expect("its attempts", 1, event.attempts)
        ctx.expect("its next retry", None, event.next_retry_at)
        ctx.expect("its reason", REASON, event.error_reason)
        ctx.expect("its error names the op", ERROR, event.error, met=ERROR in (event.error or ""))
        counts = ctx.counts()
        ctx.expect("events failed", 1, counts.failed)
        ctx.expect("all others are done", ctx.written - 1, counts.done)
        ctx.expect(TERMINAL, 1.0, worker.metric("outbox_terminal_failed_total", reason=REASON))
        ctx.expect("the log says why", ERROR, ERROR if ERROR in worker.log_text() else "nothing of it")
        ctx.conclude("how it was inserted", "bad op by SQL")
        ctx.conclude("failed is terminal", event.status == "failed")
        value = event.error_reason
        ctx.conclude("error_reason was written", f"yes (value: {value})" if value else False)


class AttemptsExhausted(Lab):
    """The sink is unreachable for longer than the attempts last."""

    name = "attempts-exhausted"
    number = 4
    title = "Attempts run out: failed, not retried without end"
    question = "Is anything retried without end?"
    hypothesis = (
        "After OUTBOX_MAX_ATTEMPTS an event is failed, with the last reason, and stays so after the outage."
    )
    # The document's own (section 7.2).
    settings = {
        "OUTBOX_MAX_ATTEMPTS": "3",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "1.0",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    }
    seconds = 5.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl chaos es stop",
        "outboxctl inject load --total 100 --rate 0",
        "outboxctl status --watch 1  # ^C once they are failed",
        "outboxctl failed list",
        "outboxctl chaos es start",
        "outboxctl status  # they stay failed",
        "kill %1",
    )
    judged = "the limit of attempts works:"

    def experiment(self, ctx: LabContext) -> Steps:
        """Refuse connections until all events have failed; new ones are delivered once the sink is back."""
        injection = ctx.refuse_connections()
        ctx.load(CAUGHT)
        yield OBSERVE
        ctx.expect_soon("all events of the outage fail", lambda: ctx.counts().failed == CAUGHT, within=20)
        yield RECOVER
        ctx.load(LATER)
        ctx.expect_recovered(within=15)
        yield CHECK  # section 7.4
        rows = ctx.transact(lambda connection: failed.failed_rows(connection, Selection()))
        ctx.expect("events failed", CAUGHT, len(rows))
        attempts = sorted({row.attempts for row in rows})
        ctx.expect("attempts of each", [ctx.settings.max_attempts], attempts)
        connect = Reason.CONNECT.value
        ctx.expect("their reason", [connect], sorted({str(row.error_reason) for row in rows}))
        metric = ctx.worker("w1").metric("outbox_terminal_failed_total", reason=connect)
        ctx.expect(TERMINAL, float(CAUGHT), metric)
        ctx.expect("all others are done", ctx.written - CAUGHT, ctx.counts().done)
        ctx.conclude("way of injection", injection)
        ctx.conclude("attempts in the end", ", ".join(map(str, attempts)))
        ctx.conclude("failed in the end", len(rows))
