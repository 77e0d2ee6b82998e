"""Lab 5 of the document: an operator replays failed events, with an audit row."""

from typing import TYPE_CHECKING, Any

from outboxctl.core.operator import audit, failed, moves, selection
from outboxctl.core.operator.selection import Selection
from outboxctl.drills.labs import CHECK, OBSERVE, RECOVER, Lab, LabContext, Steps

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

CAUGHT = 40  # events that fail in an outage
BY, REASON, LIMIT = "alice", "fixed root cause", 100  # the document's own (section 8.2)
CLEARED = {"status": "pending", "attempts": 0, "next_retry_at": None, "error": None, "error_reason": None}
SIGNED = {"replay_count": 1, "last_replayed_by": BY, "last_replayed_reason": REASON}


class AuditedReplay(Lab):
    """Events that ran out of attempts are replayed once the sink is back."""

    name = "audited-replay"
    number = 5
    title = "Replay failed events, on the record"
    question = "Can an operator replay failed events, see before what would move, and see later who did it?"
    hypothesis = (
        "A dry run names exactly the failed events and changes nothing; the replay makes them pending as "
        "new, writes down who and why, and they are delivered."
    )
    settings = {
        "OUTBOX_MAX_ATTEMPTS": "2",
        "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "1.0",
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    }
    seconds = 5.0
    by_hand = (
        "outboxctl failed list  # there are some, for example of lab 4",
        'outboxctl replay --by alice --reason "fixed root cause" --limit 100 --dry-run',
        'outboxctl replay --by alice --reason "fixed root cause" --limit 100',
        "outboxctl audit",
        "outboxctl worker --drain",
        "outboxctl status",
    )
    judged = "v3 replay on the record:"

    def experiment(self, ctx: LabContext) -> Steps:
        """An outage longer than the attempts, a dry run, and the replay once the cause is removed."""
        ctx.refuse_connections()
        ctx.load(CAUGHT)
        failed = "events have failed for good"
        ctx.confirm(failed, lambda: ctx.counts().failed == CAUGHT, within=15)
        yield OBSERVE
        plan = _dry_run(ctx)
        yield RECOVER
        ids, rows = ctx.transact(lambda c: _replay(c, plan))
        ctx.log(f"replayed {len(ids)} events as {BY}: {REASON}")
        ctx.expect_recovered(within=15)
        yield CHECK  # section 8.3
        _expect_same(ctx, "exactly these are replayed", plan.ids, ids)
        cleared, signed = _with(CLEARED, rows), _with(SIGNED, rows)
        ctx.expect("they are pending as new", CAUGHT, cleared)
        timed = sum(row["last_replayed_at"] is not None for row in rows)
        ctx.expect("who and why is in each row", CAUGHT, min(signed, timed))
        acts = ctx.transact(lambda connection: audit.recent_actions(connection, limit=2))
        audited = ctx.expect(
            "the audit has the act",
            [("replay", BY, REASON, CAUGHT)],
            [(act.action, act.operator, act.reason, act.affected) for act in acts],
        )
        ctx.expect_all_done()
        ctx.conclude("matched by the dry run", plan.matched)
        ctx.conclude("back to pending", cleared == CAUGHT)
        ctx.conclude("audited", audited and signed == CAUGHT)


def _dry_run(ctx: LabContext) -> selection.MovePlan:
    """Plan a replay, and check that the plan changes nothing."""
    before = ctx.events()
    plan = ctx.transact(lambda c: selection.plan(c, Selection(limit=LIMIT)))
    failed = [each.id for each in before if each.status == "failed"]
    _expect_same(ctx, "the dry run names the failed events", failed, plan.ids)
    acts = ctx.transact(lambda connection: audit.recent_actions(connection, limit=LIMIT))
    changed = sum(was != now for was, now in zip(before, ctx.events(), strict=True))
    ctx.expect(
        "the dry run changes nothing",
        "0 events changed, 0 acts in the audit",
        f"{changed} events changed, {len(acts)} acts in the audit",
    )
    return plan


def _with(values: dict[str, Any], rows: list[dict[str, Any]]) -> int:
    """Return how many of the rows have these values."""
    return sum(all(row[name] == value for name, value in values.items()) for row in rows)


def _expect_same(ctx: LabContext, name: str, expected: list[str], ids: list[str]) -> None:
    same = sorted(expected) == sorted(ids)
    ctx.expect(name, f"{len(expected)} events", f"{len(ids)} events", met=same)


def _replay(connection: "Connection", plan: selection.MovePlan) -> tuple[list[str], list[dict[str, Any]]]:
    """The ids of the events, and their rows, read before any worker can claim them."""
    ids = moves.replay(connection, plan, by=BY, reason=REASON)
    events = [failed.event_by_id(connection, id_) for id_ in ids]
    return ids, [each.row for each in events if each]
