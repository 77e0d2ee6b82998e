"""Moves of failed events: replay, discard, undo of a replay; one statement locks, moves and audits."""

from collections.abc import Mapping
from functools import partial
from json import dumps
from typing import Any

from outboxctl.core.operator.audit import OF_ACT
from outboxctl.core.operator.selection import MovePlan
from outboxctl.core.schema.names import AUDIT, EVENTS, OF_PROJECTION, STATUS_IS, UNHELD, source, target
from outboxctl.core.sql import Connection, TextClause, text
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Status, Verb

KEPT = 2_000  # characters of an error that the audit keeps for an undo: the worker writes half of that

# Not the same failure as was planned: it has been replayed since, and failed again. A time after now
# is no proof: the clock was set back, or another tool wrote `infinity`.
REPLAYED_SINCE = """coalesce(last_replayed_at > CAST(:planned AS timestamptz)
        AND last_replayed_at <= now(), false)"""


PLANNED = f"id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} {{status}} AND NOT {REPLAYED_SINCE}"


def move_statement(verb: Verb, changes: str, *, which: str = PLANNED, action: str = "") -> TextClause:
    """The statement that does `verb` to the events that nobody else has locked, without waiting.

    The audit keeps what the rows held before, without a copy on the client.
    """
    return text(f"""
WITH taken AS MATERIALIZED (
    SELECT id, error_reason, left(error, {KEPT}) AS error, attempts, updated_at FROM {EVENTS}
    WHERE {which.format(status=source(verb))} FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE {EVENTS} SET status = {target(verb)}, {changes}, {UNHELD}, updated_at = now()
    WHERE id = ANY (ARRAY (SELECT id FROM taken)) AND {STATUS_IS} {source(verb)}
)
INSERT INTO {AUDIT} (at, action, operator, reason, filters, act_id, affected, event_ids, before_reasons,
    before_errors, before_attempts, before_times)
SELECT now(), '{action or verb}', :by, :reason, CAST(:filters AS jsonb), CAST(:act_id AS uuid),
    count(*), array_agg(id), array_agg(error_reason), array_agg(error), array_agg(attempts),
    array_agg(updated_at)
FROM taken HAVING count(*) > 0
RETURNING event_ids::text[]
""")


REPLAY = move_statement(
    Verb.REPLAY,
    """attempts = 0, next_retry_at = NULL, error = NULL, error_reason = NULL, processed_at = NULL,
    replay_count = least(coalesce(replay_count, 0), 2147483646) + 1,
    last_replayed_at = now(), last_replayed_by = :by, last_replayed_reason = :reason""",
)
DISCARDED = f"processed_at = now(), next_retry_at = NULL, error_reason = '{Reason.DISCARDED}'"
DISCARD = move_statement(Verb.DISCARD, DISCARDED)
REPLAY_BATCHES = text(
    f"SELECT a.id::text FROM {AUDIT} a WHERE {OF_ACT} AND a.before_attempts IS NOT NULL ORDER BY a.at, a.id"
)
# A replay's batch and its rows have the same time, to the microsecond: it tells which replay was the last.
NOT_DELIVERED = f"e.{STATUS_IS} {source(Verb.UNDO)} AND e.last_replayed_at = s.at"
# In a partitioned outbox two rows can have one id: each is joined once.
REPLAYED = f"""
SELECT DISTINCT ON (u.id) u.id, u.reason, u.error, u.attempts, u.failed_at, a.at
FROM {AUDIT} a CROSS JOIN LATERAL unnest(a.event_ids, a.before_reasons, a.before_errors, a.before_attempts,
    a.before_times) AS u (id, reason, error, attempts, failed_at)
WHERE a.action = '{Verb.REPLAY}' AND a.before_attempts IS NOT NULL"""
# An undone replay does not count in `replay_count`, and the failure keeps its time. The audit has the undo.
UNDO = text(f"""
WITH said AS MATERIALIZED ({REPLAYED} AND a.id = CAST(:batch AS uuid)),
taken AS MATERIALIZED (
    SELECT e.id FROM {EVENTS} e JOIN said s ON s.id = e.id
    WHERE e.id = ANY (ARRAY (SELECT id FROM said)) AND {NOT_DELIVERED}
    FOR UPDATE OF e SKIP LOCKED
), moved AS (
    UPDATE {EVENTS} e SET status = {target(Verb.UNDO)}, attempts = s.attempts, error_reason = s.reason,
        error = s.error, next_retry_at = NULL, {UNHELD}, updated_at = coalesce(s.failed_at, now()),
        replay_count = greatest(e.replay_count - 1, 0)
    FROM said s WHERE s.id = e.id AND e.id = ANY (ARRAY (SELECT id FROM taken)) AND {NOT_DELIVERED}
)
INSERT INTO {AUDIT} (at, action, operator, reason, filters, act_id, affected, event_ids)
SELECT now(), '{Verb.UNDO}', :by, :reason, CAST(:filters AS jsonb), CAST(:act_id AS uuid),
    count(*), array_agg(id)
FROM taken HAVING count(*) > 0
RETURNING event_ids::text[]
""")


def carry_out(
    statement: TextClause,
    connection: Connection,
    plan: MovePlan,
    *,
    by: str,
    reason: str,
    act_id: str | None = None,
) -> list[str]:
    """Move the planned events, in the caller's transaction; an act that moves none has no audit row.

    Returns the ids of those that were moved: a row that is no longer failed, or that somebody else has
    locked, is left alone. Without an `act_id` the audit row is an act by itself.
    """
    values = {"by": by, "reason": reason, "act_id": act_id, "planned": plan.at, "ids": plan.ids}
    moved = {*_moved(connection, statement, plan.selection.as_filter(), values)}
    return [id_ for id_ in plan.ids if id_ in moved]


def _moved(
    connection: Connection, statement: TextClause, filters: Mapping[str, Any], values: Mapping[str, Any]
) -> list[str]:
    given = {**values, "filters": dumps(filters, ensure_ascii=False)}
    return list(connection.execute(statement, given).scalar() or ())


replay = partial(carry_out, REPLAY)  # failed to pending: as new, but for the history
discard = partial(carry_out, DISCARD)  # failed to done without a delivery; the error stays


def replay_batches(connection: Connection, act: str) -> list[str]:
    """The audit rows of an act that keep what its events held before, one a batch, in their order."""
    return list(connection.execute(REPLAY_BATCHES, {"act": act}).scalars())


def undo(
    connection: Connection, batch: str, *, undoes: str, by: str, reason: str, act_id: str | None = None
) -> list[str]:
    """Put back what one batch of the act `undoes` replayed and nobody has delivered or holds; their ids.

    In the caller's transaction, the audit row too; a batch that moves nothing has none.
    """
    # Statistics may cause a nested loop: a thousand events joined with a thousand entries of the audit.
    connection.exec_driver_sql("SET LOCAL enable_nestloop = off")
    values = {"batch": batch, "by": by, "reason": reason, "act_id": act_id}
    return _moved(connection, UNDO, {"audit_id": undoes}, values)


# The waiting events of a projection that is dropped.
BATCH = 5_000  # events in one transaction
IN_HAND = text(
    f"SELECT count(*) FROM {EVENTS} WHERE status = '{Status.PROCESSING}' AND {OF_PROJECTION} = :name"
)
# Only events that no worker holds; one that is settled after all is not touched.
DROP = move_statement(
    Verb.DROP,
    DISCARDED,
    which=f"status = {{status}} AND {OF_PROJECTION} = :name LIMIT {BATCH}",
    action="projection drop",
)


def in_hand(connection: Connection, name: str) -> int:
    """How many of its events workers hold."""
    return int(connection.execute(IN_HAND, {"name": name}).scalar_one())


def discard_all(connection: Connection, name: str, *, by: str, reason: str, act_id: str) -> int:
    """End waiting events of a projection as done without a delivery, audited; how many, at most BATCH."""
    values = {"name": name, "by": by, "reason": reason, "act_id": act_id}
    return len(_moved(connection, DROP, {"projection": name}, values))
