"""Discarding failed events: done without a delivery, by an operator's word and with an audit row."""

from datetime import datetime

from sqlalchemy import Connection

from outboxctl.core.operator.moves import Act, carry_out, move_statement
from outboxctl.core.operator.selection import MovePlan
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Verb

DISCARD = move_statement(
    Verb.DISCARD,
    f"processed_at = coalesce(:now, now()), next_retry_at = NULL, error_reason = '{Reason.DISCARDED}'",
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
    """Close the planned events and write the audit row, in the caller's transaction; their error stays."""
    return carry_out(connection, DISCARD, plan, by=by, reason=reason, act_id=act_id, now=now)
