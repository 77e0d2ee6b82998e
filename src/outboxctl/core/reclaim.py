"""Reclaiming: events whose lease ran out go back to pending, or to failed once their attempts are spent."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from outboxctl.core.claim import PLAN
from outboxctl.core.schema import EVENTS, OURS, OVERDUE, STUCK, UNHELD, source, target
from outboxctl.failures import Reason
from outboxctl.lifecycle import Verb

LIMIT = 5_000  # rows a statement: locks stay short, the next pass takes the rest

RECLAIM = text(f"""
UPDATE {EVENTS} SET
    status = CASE WHEN coalesce(attempts, 0) >= :max_attempts
        THEN {target(Verb.EXPIRE)} ELSE {target(Verb.RECLAIM)} END,
    next_retry_at = NULL, error_reason = '{Reason.LEASE_EXPIRED}',
    error = 'lease expired or max processing exceeded, attempt ' || coalesce(attempts, 0)
        || ' of ' || CAST(:max_attempts AS text)
        || ', owner ' || coalesce(left(owner, 120), 'unknown'),
    {UNHELD}, updated_at = coalesce(:now, now())
WHERE id = ANY (ARRAY (
    SELECT id FROM {EVENTS} WHERE {STUCK} LIMIT {LIMIT} FOR UPDATE SKIP LOCKED))
    AND {OURS} {source(Verb.RECLAIM)} AND {OVERDUE}
RETURNING status, op
""")


@dataclass(frozen=True)
class Reclaimed:
    """How many events went back to pending, and the ops of those that ended in failed."""

    pending: int
    failed_ops: list[str]

    @property
    def total(self) -> int:
        """All rows that were stuck and are no longer."""
        return self.pending + len(self.failed_ops)


def reclaim(
    connection: Connection, *, max_processing: float, max_attempts: int, now: datetime | None = None
) -> Reclaimed:
    """Free up to LIMIT stuck events (lab document, section 2.2 B: lease expired or `max_processing` s)."""
    connection.exec_driver_sql(PLAN)
    given = {"max_processing": max_processing, "max_attempts": max_attempts, "now": now}
    rows = connection.execute(RECLAIM, given).all()
    failed = [op for status, op in rows if status == "failed"]
    return Reclaimed(len(rows) - len(failed), failed)
