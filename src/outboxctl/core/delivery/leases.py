"""Leases: a slow delivery renews its own; events whose lease ran out are reclaimed.

Reclaimed events go back to pending, or to failed once their attempts are spent.
"""

from enum import Enum
from typing import NamedTuple

from outboxctl.core.schema.names import (
    EVENTS,
    OVERDUE,
    PLAN,
    STATUS_IS,
    STUCK,
    UNHELD,
    source,
    target,
)
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Status, Verb

LIMIT = 5_000  # rows a statement: locks stay short, the next pass takes the rest
SPARE = 3  # with fewer attempts left an event is sent alone at once

# Which event ended its worker is unknown. Reclaimed the first time, an event is sent with others that
# were reclaimed (claim.py): next_retry_at is set. If that worker ends too, the event gets the attempt back,
# for it is one of many, and is sent alone until it is answered: next_retry_at is NULL. An event with few
# attempts left is sent alone at once.
RECLAIMED_BEFORE = f"(error_reason = '{Reason.LEASE_EXPIRED}') IS TRUE"
SENT_TOGETHER = f"{RECLAIMED_BEFORE} AND next_retry_at IS NOT NULL"
RECLAIM = text(f"""
UPDATE {EVENTS} SET
    status = CASE WHEN coalesce(attempts, 0) >= :max_attempts AND NOT ({SENT_TOGETHER})
        THEN {target(Verb.EXPIRE)} ELSE {target(Verb.RECLAIM)} END,
    attempts = CASE WHEN {SENT_TOGETHER} THEN greatest(attempts - 1, 0) ELSE attempts END,
    next_retry_at = CASE WHEN NOT {RECLAIMED_BEFORE} AND :max_attempts - coalesce(attempts, 0) >= {SPARE}
        THEN now() END,
    error_reason = '{Reason.LEASE_EXPIRED}',
    error = 'lease expired or max processing exceeded, attempt ' || coalesce(attempts, 0)
        || ' of ' || CAST(:max_attempts AS text)
        || CASE WHEN {SENT_TOGETHER} THEN ' (not counted: sent with others)' ELSE '' END
        || ', owner ' || coalesce(left(owner, 120), 'unknown'),
    {UNHELD}, updated_at = now()
WHERE id = ANY (ARRAY (
    SELECT id FROM {EVENTS} WHERE {STUCK} LIMIT {LIMIT} FOR UPDATE SKIP LOCKED))
    AND {STATUS_IS} {source(Verb.RECLAIM)} AND {OVERDUE}
RETURNING status, op
""")


class Reclaimed(NamedTuple):
    """How many events were reclaimed, and the ops of those among them that became failed."""

    total: int
    failed_ops: list[str]


def reclaim(connection: Connection, *, max_processing: float, max_attempts: int) -> Reclaimed:
    """Free up to LIMIT stuck events (lab document, section 2.2 B: lease expired or `max_processing` s)."""
    connection.exec_driver_sql(PLAN)
    values = {"max_processing": max_processing, "max_attempts": max_attempts}
    rows = connection.execute(RECLAIM, values).all()
    return Reclaimed(len(rows), [op for status, op in rows if status == Status.FAILED])


# Rows that others have locked are skipped: the lease of the rest would run out meanwhile.
OF_CLAIM = "lease_token = CAST(:token AS uuid)"
IN_HAND = f"""{OF_CLAIM} AND status = {source(Verb.RENEW)}
    AND now() - processing_started_at < make_interval(secs => :max_processing)"""
RENEW = text(f"""
UPDATE {EVENTS} SET lease_until = now() + make_interval(secs => :lease),
    updated_at = now()
WHERE id = ANY (ARRAY (SELECT id FROM {EVENTS} WHERE {IN_HAND} FOR NO KEY UPDATE SKIP LOCKED))
    AND {STATUS_IS} {source(Verb.RENEW)} AND {OF_CLAIM}
RETURNING id
""")
STILL_HELD = text(f"SELECT EXISTS (SELECT FROM {EVENTS} WHERE {IN_HAND})")


class Renewed(Enum):
    """What came of a renewal."""

    RENEWED = "renewed"
    LOCKED = "locked"  # somebody has locked each event that is left: they keep their lease
    LOST = "lost"  # none of the events is left, or they took too long


def renew(
    connection: Connection,
    token: str,
    *,
    lease: float,
    max_processing: float,
) -> Renewed:
    """Renew this claim for `lease` seconds from now.

    An event that somebody else has locked keeps its lease.
    """
    connection.exec_driver_sql(PLAN)
    held = {"token": token, "max_processing": max_processing}
    if connection.execute(RENEW, {**held, "lease": lease}).all():
        return Renewed.RENEWED
    return Renewed.LOCKED if connection.execute(STILL_HELD, held).scalar() else Renewed.LOST
