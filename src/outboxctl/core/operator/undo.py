"""Undoing a replay: what has not been delivered since is failed again, as it was."""

from datetime import datetime
from json import dumps
from uuid import uuid4

from sqlalchemy import Connection, text

from outboxctl.core.operator.moves import Act
from outboxctl.core.operator.trail import OF_ACT
from outboxctl.core.schema.names import AUDIT, EVENTS, STATUS_IS, UNHELD, source, target
from outboxctl.domain.lifecycle import Verb

BATCHES = text(
    f"SELECT a.id::text FROM {AUDIT} a WHERE {OF_ACT} AND a.before_attempts IS NOT NULL ORDER BY a.at, a.id"
)
# That a replay's batch and its rows bear one time, to the microsecond, says whose replay was the last.
WAITING = f"e.{STATUS_IS} {source(Verb.UNDO)} AND e.last_replayed_at = s.at"
# In a partitioned outbox two rows can have one id: each is met once.
SAID = f"""
SELECT DISTINCT ON (u.id) u.id, u.reason, u.error, u.attempts, u.failed_at, a.at
FROM {AUDIT} a CROSS JOIN LATERAL unnest(a.event_ids, a.before_reasons, a.before_errors, a.before_attempts,
    a.before_times) AS u (id, reason, error, attempts, failed_at)
WHERE a.action = '{Verb.REPLAY}' AND a.before_attempts IS NOT NULL"""
# An undone replay has not happened: it does not count, and makes no failure of today. That it was undone
# is in the audit.
UNDO = text(f"""
WITH said AS MATERIALIZED ({SAID} AND a.id = CAST(:batch AS uuid)),
taken AS MATERIALIZED (
    SELECT e.id FROM {EVENTS} e JOIN said s ON s.id = e.id
    WHERE e.id = ANY (ARRAY (SELECT id FROM said)) AND {WAITING}
    FOR UPDATE OF e SKIP LOCKED
), moved AS (
    UPDATE {EVENTS} e SET status = {target(Verb.UNDO)}, attempts = s.attempts, error_reason = s.reason,
        error = s.error, next_retry_at = NULL, {UNHELD}, updated_at = coalesce(s.failed_at, :now, now()),
        replay_count = greatest(e.replay_count - 1, 0)
    FROM said s WHERE s.id = e.id AND e.id = ANY (ARRAY (SELECT id FROM taken)) AND {WAITING}
)
INSERT INTO {AUDIT} (at, action, operator, reason, filters, act_id, affected, event_ids)
SELECT coalesce(:now, now()), '{Verb.UNDO}', :by, :reason, CAST(:filters AS jsonb), CAST(:act_id AS uuid),
    count(*), array_agg(id)
FROM taken HAVING count(*) > 0
RETURNING event_ids::text[]
""")


def batches(connection: Connection, act: str) -> list[str]:
    """The audit rows of an act, one a batch, in their order; an old one that kept nothing has none."""
    return list(connection.execute(BATCHES, {"act": act}).scalars())


def apply(
    connection: Connection,
    batch: str,
    *,
    undoes: str,
    by: str,
    reason: str,
    act_id: str | None = None,
    now: datetime | None = None,
) -> Act:
    """Put back what one batch of the act `undoes` replayed and nobody has delivered or holds.

    In the caller's transaction, the audit row too; a batch of which nothing is left leaves none.
    """
    act_id = act_id or str(uuid4())
    given = {"batch": batch, "by": by, "reason": reason, "act_id": act_id, "now": now}
    given["filters"] = dumps({"audit_id": undoes})
    # A thousand events are met with what the audit says of a thousand: never one by one.
    connection.exec_driver_sql("SET LOCAL enable_nestloop = off")
    ids = list(connection.execute(UNDO, given).scalar() or ())
    return Act(ids, act_id if ids else None)
