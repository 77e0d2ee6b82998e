"""An operator's move of failed events: one statement locks, changes and writes down what it did."""

from dataclasses import dataclass
from datetime import datetime
from json import dumps
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, TextClause, text

from outboxctl.core.operator.selection import MovePlan
from outboxctl.core.schema.names import AUDIT, EVENTS, STATUS_IS, UNHELD, source, target
from outboxctl.domain.lifecycle import Verb

KEPT = 2_000  # characters of an error that the audit keeps for an undo: the worker writes half of that

# Not the same failure as was planned: it has been replayed since, and failed again. A time after now
# is no proof: the clock was set back, or another tool wrote `infinity`.
REPLAYED_SINCE = """coalesce(last_replayed_at > CAST(:planned AS timestamptz)
        AND last_replayed_at <= coalesce(:now, now()), false)"""


@dataclass(frozen=True)
class Act:
    """What an act did: the ids that it moved, and the act's id in the audit (None if it moved none)."""

    ids: list[str]
    audit_id: str | None


def move_statement(verb: Verb, changes: str) -> TextClause:
    """The statement that does `verb` to :ids as far as nobody else is at them: no waiting, nothing twice.

    What they said before stays in the audit, on the server all the way: a text that is no UTF-8 too.
    """
    return text(f"""
WITH taken AS MATERIALIZED (
    SELECT id, error_reason, left(error, {KEPT}) AS error, attempts, updated_at FROM {EVENTS}
    WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} {source(verb)} AND NOT {REPLAYED_SINCE}
    FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE {EVENTS} SET status = {target(verb)}, {changes}, {UNHELD}, updated_at = coalesce(:now, now())
    WHERE id = ANY (ARRAY (SELECT id FROM taken)) AND {STATUS_IS} {source(verb)}
)
INSERT INTO {AUDIT} (at, action, operator, reason, filters, act_id, affected, event_ids, before_reasons,
    before_errors, before_attempts, before_times)
SELECT coalesce(:now, now()), '{verb}', :by, :reason, CAST(:filters AS jsonb), CAST(:act_id AS uuid),
    count(*), array_agg(id), array_agg(error_reason), array_agg(error), array_agg(attempts),
    array_agg(updated_at)
FROM taken HAVING count(*) > 0
RETURNING event_ids::text[]
""")


def carry_out(
    connection: Connection,
    statement: TextClause,
    plan: MovePlan,
    *,
    by: str,
    reason: str,
    act_id: str | None,
    now: datetime | None,
) -> Act:
    """Do a move to the planned events, in the caller's transaction; one that moved none leaves no audit.

    A row that is no longer failed, or that somebody else is at, is left alone and not in the result.
    """
    act_id = act_id or str(uuid4())
    given: dict[str, Any] = {"by": by, "reason": reason, "act_id": act_id, "now": now, "planned": plan.at}
    given |= {"ids": plan.ids, "filters": dumps(plan.selection.as_filter(), ensure_ascii=False)}
    moved = set(connection.execute(statement, given).scalar() or ())
    return Act([id_ for id_ in plan.ids if id_ in moved], act_id if moved else None)
