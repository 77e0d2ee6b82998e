"""Discarding failed events: done without a delivery, by an operator's word and with an audit row."""

from datetime import datetime

from sqlalchemy import Connection, text

from outboxctl.core.replay import Act, Plan, audited
from outboxctl.core.schema import EVENTS, UNHELD, source, target
from outboxctl.failures import Reason
from outboxctl.lifecycle import Verb

DISCARD = text(f"""
UPDATE {EVENTS} SET status = {target(Verb.DISCARD)}, processed_at = coalesce(:now, now()),
    next_retry_at = NULL, error_reason = '{Reason.DISCARDED}', {UNHELD}, updated_at = coalesce(:now, now())
WHERE id = ANY (CAST(:ids AS uuid[])) AND status = {source(Verb.DISCARD)}
RETURNING id::text
""")


def apply(connection: Connection, plan: Plan, *, by: str, reason: str, now: datetime | None = None) -> Act:
    """Close the planned events and write the audit row, in the caller's transaction; their error stays.

    A row that is no longer failed is left alone and not in the result.
    """
    ids = list(connection.execute(DISCARD, {"ids": plan.ids, "now": now}).scalars()) if plan.ids else []
    return audited(connection, "discard", plan, ids, by=by, reason=reason)
