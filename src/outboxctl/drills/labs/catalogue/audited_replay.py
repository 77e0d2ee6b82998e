"""Lab 5 of the document: failed is an end for the system, and a person can begin again, on the record."""

from functools import partial
from typing import TYPE_CHECKING, Any

from outboxctl.core.operator import audit, failed, moves, selection
from outboxctl.core.operator.selection import Selection
from outboxctl.drills.labs import outage
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

CAUGHT = 40  # events that fail in an outage
BY, REASON, LIMIT = "alice", "fixed root cause", 100  # the document's own (section 8.2)
CLEARED = {"status": "pending", "attempts": 0, "next_retry_at": None, "error": None, "error_reason": None}


class AuditedReplay(Lab):
    """Events that ran out of attempts are replayed once the sink is back."""

    name = "audited-replay"
    number = 5
    title = BilingualText("Replay failed events, on the record", "显式 replay failed → pending（可审计）")
    question = BilingualText(
        "Can a person bring failed events back, see before what would move, and see later who did it?",
        "运维能否通过 replay 把 failed 重新回到 pending，事前可预览，事后可审计？",
    )
    hypothesis = BilingualText(
        "A dry run names exactly the failed events and changes nothing; the replay makes them pending as "
        "new, writes down who and why, and they are delivered.",
        "dry-run 准确列出匹配的事件且不改动任何数据；replay 清理 attempts/next_retry_at/error/error_reason，"
        "replay_count +1，写入 last_replayed_at/by/reason，随后全部投递。",
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
    judged = BilingualText("v3 replay on the record:", "v3 显式 replay（可审计）")
    plan: selection.MovePlan | None = None  # until the dry run

    def inject(self, scene: Scene) -> None:
        """Make events fail for good: an outage that outlasts their attempts."""
        outage.refuse(scene)
        scene.load(CAUGHT)
        scene.took_hold(
            BilingualText("events have failed for good", "已有 failed 事件"),
            lambda: scene.look().failed == CAUGHT,
            within=15,
        )

    def observe(self, scene: Scene) -> None:
        """The rehearsal: what would move, and that nothing did."""
        before = scene.events()
        self.plan = scene.transact(lambda c: selection.plan(c, Selection(limit=LIMIT)))
        failed = sorted(each.id for each in before if each.status == "failed")
        scene.expect(
            BilingualText("the dry run names the failed events", "dry-run 列出全部 failed 事件"),
            f"{len(failed)} events",
            f"{len(self.plan.ids)} events",
            met=sorted(self.plan.ids) == failed,
        )
        acts = scene.transact(lambda connection: audit.recent_actions(connection, limit=LIMIT))
        changed = sum(was != now for was, now in zip(before, scene.events(), strict=True))
        scene.expect(
            BilingualText("the dry run changes nothing", "dry-run 不改动数据"),
            "0 events changed, 0 acts in the audit",
            f"{changed} events changed, {len(acts)} acts in the audit",
        )

    def recover(self, scene: Scene) -> None:
        """The root cause is fixed: replay, and wait until all is delivered."""
        if self.plan:
            self.moved, self.rows = scene.transact(partial(_replay, plan=self.plan))
            scene.say(f"replayed {len(self.moved.ids)} events as {BY}: {REASON}")
        scene.recovered(within=15)

    def check(self, scene: Scene) -> None:
        """What section 8.3 expects of the rows, the audit, and what became of the events."""
        assert self.plan  # noqa: S101 - for mypy: there was a dry run
        scene.expect(
            BilingualText("exactly these are replayed", "replay 的正是这些事件"),
            f"{len(self.plan.ids)} events",
            f"{len(self.moved.ids)} events",
            met=sorted(self.plan.ids) == sorted(self.moved.ids),
        )
        cleared = self._all_say(CLEARED)
        scene.expect(
            BilingualText("they are pending as new", "回到 pending，相关字段已清理"), CAUGHT, cleared
        )
        signed = self._all_say(
            {"replay_count": 1, "last_replayed_by": BY, "last_replayed_reason": REASON},
        )
        told = sum(row["last_replayed_at"] is not None for row in self.rows)
        scene.expect(
            BilingualText("who and why is in each row", "replay_count +1，last_replayed_at/by/reason 写入"),
            CAUGHT,
            min(signed, told),
        )
        audited = self._audited(scene)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, scene.look().done)
        scene.conclude(BilingualText("matched by the dry run", "dry-run 匹配量"), self.plan.matched)
        scene.conclude(BilingualText("back to pending", "failed 是否回到 pending"), cleared == CAUGHT)
        scene.conclude(BilingualText("audited", "审计字段是否写入"), audited and signed == CAUGHT)

    def _all_say(self, wanted: dict[str, Any]) -> int:
        """How many of the replayed rows say this."""
        return sum(all(row[name] == value for name, value in wanted.items()) for row in self.rows)

    def _audited(self, scene: Scene) -> bool:
        acts = scene.transact(lambda connection: audit.recent_actions(connection, limit=2))
        return scene.expect(
            BilingualText("the audit has the act", "审计表中有此操作"),
            [("replay", BY, REASON, CAUGHT)],
            [(act.action, act.operator, act.reason, act.affected) for act in acts],
        )


def _replay(connection: "Connection", plan: selection.MovePlan) -> tuple[moves.Act, list[dict[str, Any]]]:
    """The act, and the rows as it leaves them: read before any worker can take them."""
    act = moves.replay(connection, plan, by=BY, reason=REASON)
    found = [failed.event_by_id(connection, id_) for id_ in act.ids]
    return act, [each.row for each in found if each]
