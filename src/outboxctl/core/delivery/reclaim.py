"""Reclaiming: events whose lease ran out go back to pending, or to failed once their attempts are spent."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.schema.names import EVENTS, OVERDUE, STATUS_IS, STUCK, UNHELD, source, target
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Verb

LIMIT = 5_000  # rows a statement: locks stay short, the next pass takes the rest
SPARE = 3  # attempts left without which an event goes alone at once

# Which of a worker's events ended it is unknown. Reclaimed the first time, an event is sent with others that
# were reclaimed (claim.py): next_retry_at is set. If that worker ends too, the event gets the attempt back,
# for it is one of many, and is sent alone until it is answered: next_retry_at is NULL. Older releases leave
# NULL, too. An event that few attempts are left to is sent alone at once.
AGAIN = f"(error_reason = '{Reason.LEASE_EXPIRED}') IS TRUE"
IN_COMPANY = f"{AGAIN} AND next_retry_at IS NOT NULL"
RECLAIM = text(f"""
UPDATE {EVENTS} SET
    status = CASE WHEN coalesce(attempts, 0) >= :max_attempts AND NOT ({IN_COMPANY})
        THEN {target(Verb.EXPIRE)} ELSE {target(Verb.RECLAIM)} END,
    attempts = CASE WHEN {IN_COMPANY} THEN greatest(attempts - 1, 0) ELSE attempts END,
    next_retry_at = CASE WHEN NOT {AGAIN} AND :max_attempts - coalesce(attempts, 0) >= {SPARE}
        THEN coalesce(:now, now()) END,
    error_reason = '{Reason.LEASE_EXPIRED}',
    error = 'lease expired or max processing exceeded, attempt ' || coalesce(attempts, 0)
        || ' of ' || CAST(:max_attempts AS text)
        || CASE WHEN {IN_COMPANY} THEN ' (not counted: sent with others)' ELSE '' END
        || ', owner ' || coalesce(left(owner, 120), 'unknown'),
    {UNHELD}, updated_at = coalesce(:now, now())
WHERE id = ANY (ARRAY (
    SELECT id FROM {EVENTS} WHERE {STUCK} LIMIT {LIMIT} FOR UPDATE SKIP LOCKED))
    AND {STATUS_IS} {source(Verb.RECLAIM)} AND {OVERDUE}
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
