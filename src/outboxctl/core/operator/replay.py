"""Replaying failed events: back to pending, as new but for their history."""

from datetime import datetime

from sqlalchemy import Connection

from outboxctl.core.operator.moves import Act, carry_out, move_statement
from outboxctl.core.operator.selection import MovePlan, Selection, plan
from outboxctl.domain.lifecycle import Verb

__all__ = ["Act", "MovePlan", "Selection", "apply", "plan"]

REPLAY = move_statement(
    Verb.REPLAY,
    """attempts = 0, next_retry_at = NULL, error = NULL, error_reason = NULL, processed_at = NULL,
    replay_count = least(coalesce(replay_count, 0), 2147483646) + 1,
    last_replayed_at = coalesce(:now, now()), last_replayed_by = :by, last_replayed_reason = :reason""",
)


def apply(
    connection: Connection,
    plan: MovePlan,
    *,
    by: str,
    reason: str,
    act_id: str | None = None,
    now: datetime | None = None,
) -> Act:
    """Put the planned events back to pending and write the audit row, in the caller's transaction."""
    return carry_out(connection, REPLAY, plan, by=by, reason=reason, act_id=act_id, now=now)
