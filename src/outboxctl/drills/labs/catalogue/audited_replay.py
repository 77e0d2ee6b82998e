"""Lab 5 of the document: an operator replays failed events, with an audit row."""

from typing import TYPE_CHECKING, Any

from outboxctl.core.operator import audit, failed, moves, selection
from outboxctl.core.operator.selection import Selection
from outboxctl.drills.labs import Lab, LabContext, outage

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
    plan: selection.MovePlan | None = None  # until the dry run

    def inject(self, ctx: LabContext) -> None:
        """Make events fail in an outage longer than their attempts."""
        outage.refuse(ctx)
        ctx.load(CAUGHT)
        failed = "events have failed for good"
        ctx.confirm(failed, lambda: ctx.counts().failed == CAUGHT, within=15)

    def observe(self, ctx: LabContext) -> None:
        """Dry run: what a replay would move; nothing changes."""
        before = ctx.events()
        self.plan = ctx.transact(lambda c: selection.plan(c, Selection(limit=LIMIT)))
        failed = [each.id for each in before if each.status == "failed"]
        _expect_same(ctx, "the dry run names the failed events", failed, self.plan.ids)
        acts = ctx.transact(lambda connection: audit.recent_actions(connection, limit=LIMIT))
        changed = sum(was != now for was, now in zip(before, ctx.events(), strict=True))
        ctx.expect(
            "the dry run changes nothing",
            "0 events changed, 0 acts in the audit",
            f"{changed} events changed, {len(acts)} acts in the audit",
        )

    def recover(self, ctx: LabContext) -> None:
        """The cause is removed: replay, and wait until all is delivered."""
        if plan := self.plan:
            self.replayed, self.rows = ctx.transact(lambda c: _replay(c, plan))
            ctx.log(f"replayed {len(self.replayed.ids)} events as {BY}: {REASON}")
        ctx.expect_recovered(within=15)

    def check(self, ctx: LabContext) -> None:
        """Section 8.3: the rows and the audit; all events are done."""
        assert self.plan  # noqa: S101 - for mypy: there was a dry run
        _expect_same(ctx, "exactly these are replayed", self.plan.ids, self.replayed.ids)
        cleared, signed = self._rows_with(CLEARED), self._rows_with(SIGNED)
        ctx.expect("they are pending as new", CAUGHT, cleared)
        timed = sum(row["last_replayed_at"] is not None for row in self.rows)
        ctx.expect("who and why is in each row", CAUGHT, min(signed, timed))
        audited = self._expect_audited(ctx)
        ctx.expect_counts(done=ctx.written)
        ctx.conclude("matched by the dry run", self.plan.matched)
        ctx.conclude("back to pending", cleared == CAUGHT)
        ctx.conclude("audited", audited and signed == CAUGHT)

    def _rows_with(self, values: dict[str, Any]) -> int:
        """How many of the replayed rows have these values."""
        return sum(all(row[name] == value for name, value in values.items()) for row in self.rows)

    def _expect_audited(self, ctx: LabContext) -> bool:
        acts = ctx.transact(lambda connection: audit.recent_actions(connection, limit=2))
        return ctx.expect(
            "the audit has the act",
            [("replay", BY, REASON, CAUGHT)],
            [(act.action, act.operator, act.reason, act.affected) for act in acts],
        )


def _expect_same(ctx: LabContext, name: str, expected: list[str], ids: list[str]) -> None:
    same = sorted(expected) == sorted(ids)
    ctx.expect(name, f"{len(expected)} events", f"{len(ids)} events", met=same)


def _replay(connection: "Connection", plan: selection.MovePlan) -> tuple[moves.Act, list[dict[str, Any]]]:
    """The act, and its rows, read before any worker can claim them."""
    act = moves.replay(connection, plan, by=BY, reason=REASON)
    events = [failed.event_by_id(connection, id_) for id_ in act.ids]
    return act, [each.row for each in events if each]
