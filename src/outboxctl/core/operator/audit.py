"""The audit trail: written in the transaction of the act it records, never changed; read act by act.

The database itself adds the login of the writer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from outboxctl.core.schema.names import AUDIT, EVENTS, PLAN, SAFE
from outboxctl.core.sql import Connection, text
from outboxctl.core.tables import AUDIT as TABLE
from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Status, Verb

# All actions that are ever written: `audit --action` takes no other.
REBUILDS = ("rebuild", "rebuild rollback", "rebuild abort", "rebuild cleanup")
PROJECTION_ACTS = ("projection apply", "projection drop")
ACTIONS = (
    *(Verb.REPLAY.value, Verb.UNDO.value, Verb.DISCARD.value, "repair", "prune", "mark"),
    *REBUILDS,
    *PROJECTION_ACTS,
)


def record(
    connection: Connection,
    action: str,
    *,
    by: str,
    reason: str,
    filters: Mapping[str, Any],
    ids: Sequence[str],
    affected: int | None = None,
    act_id: str | None = None,
) -> str:
    """Write one audit row (of a long act one a batch, with one `act_id`) and return its id.

    `affected` is set where the act did not change events by id. ValueError for an unknown action.
    """
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}")
    row: dict[str, Any] = {
        "action": action,
        "operator": by,
        "reason": reason,
        "act_id": act_id,
        "event_ids": list(ids),
    }
    row |= {"filters": dict(filters), "affected": len(ids) if affected is None else affected}
    return str(connection.execute(insert(TABLE).values(row).returning(TABLE.c.id)).scalar_one())


PAGE = 5_000  # rows fetched at a time

# The batches of one act share act_id; a row without one is an act by itself.
ACT = "coalesce(act_id, id)"
OF_ACT = "(a.act_id = CAST(:act AS uuid) OR a.act_id IS NULL AND a.id = CAST(:act AS uuid))"
# Other tools write here, too: a row whose filters are no object must not hide the others.
FILTERS = """CASE WHEN jsonb_typeof(filters) = 'object' THEN filters
    ELSE jsonb_build_object('', filters) END"""
# The batches of an act have one action, operator and reason; the filters of a repair differ.
ACTS = text(f"""
WITH acts AS (
    SELECT {ACT} AS act, min(at) AS at, max(at) AS ended_at, min(action) AS action,
        min(operator) AS operator, min(reason) AS reason,
        string_agg(DISTINCT logged_in_as, ', ' ORDER BY logged_in_as) AS logged_in_as,
        sum(affected)::bigint AS affected, count(*) AS batches
    FROM {AUDIT} a
    WHERE (CAST(:act AS uuid) IS NULL OR {OF_ACT})
        AND (CAST(:action AS text) IS NULL OR action = :action)
        AND (CAST(:by AS text) IS NULL OR operator = :by)
    GROUP BY {ACT}
    HAVING CAST(:since AS timestamptz) IS NULL OR max(at) >= :since
    ORDER BY max(at) DESC, {ACT} LIMIT :limit
)
SELECT act::text, {SAFE.format("at")}, {SAFE.format("ended_at")}, action, operator, logged_in_as, reason, (
    SELECT {FILTERS} FROM {AUDIT} a WHERE a.act_id = act OR a.id = act ORDER BY a.at, a.id LIMIT 1),
    affected, batches
FROM acts ORDER BY acts.ended_at DESC, act
""")
# The state of an event now. After a replay `failed` is failed again, unless the replay was undone; a
# later replay is another act.
STATE_NOW = f"""CASE
    WHEN e.id IS NULL THEN 'gone'
    WHEN a.action = '{Verb.REPLAY}' AND e.last_replayed_at <> a.at THEN 'replayed since'
    WHEN EXISTS (SELECT FROM undone WHERE undone.id = u.id) THEN 'undone'
    WHEN a.action = '{Verb.REPLAY}' AND e.status = '{Status.FAILED}' THEN 'failed again'
    WHEN e.status = '{Status.DONE}' AND e.error_reason = '{Reason.DISCARDED}' THEN '{Reason.DISCARDED}'
    ELSE e.status END"""
UNDONE = f"""
WITH undone AS MATERIALIZED (
    SELECT unnest(event_ids) AS id FROM {AUDIT}
    WHERE action = '{Verb.UNDO}' AND filters ->> 'audit_id' = CAST(:act AS text)
)"""
FROM_ACT = f"""
FROM {AUDIT} a CROSS JOIN LATERAL unnest(a.event_ids, a.before_reasons, a.before_errors, a.before_attempts)
    WITH ORDINALITY AS u (id, reason, error, attempts, place)
LEFT JOIN LATERAL (SELECT * FROM {EVENTS} WHERE id = u.id LIMIT 1) e ON true
WHERE {OF_ACT}"""
EVENTS_OF = text(f"""{UNDONE}
SELECT u.id::text, u.reason, u.error, u.attempts, {STATE_NOW} {FROM_ACT}
ORDER BY a.at, a.id, u.place LIMIT CAST(:limit AS bigint)
""")
STATES = text(f"{UNDONE} SELECT {STATE_NOW}, count(*) {FROM_ACT} GROUP BY 1 ORDER BY 2 DESC, 1")


@dataclass(frozen=True)
class AuditRow:
    """One act: who did what, when, why, to how many events, in how many batches.

    `operator` is the value of `--by`, `logged_in_as` the PostgreSQL logins that wrote the batches. `filters`
    are those of the first batch. A time out of range is None.
    """

    id: str
    at: datetime | None
    ended_at: datetime | None
    action: str
    operator: str
    logged_in_as: str | None
    reason: str
    filters: dict[str, Any]
    affected: int
    batches: int


@dataclass(frozen=True)
class AffectedEvent:
    """One event of an act: its failure before, where that was kept, and its state `now`.

    A status, or `discarded`, `failed again`, `replayed since`, `undone`, `gone` (pruned).
    """

    id: str
    error_reason: str | None
    error: str | None
    attempts: int | None
    now: str


def recent_actions(
    connection: Connection,
    *,
    limit: int,
    action: str | None = None,
    by: str | None = None,
    since: datetime | None = None,
) -> list[AuditRow]:
    """The latest acts, newest first: those that ended at or after `since`."""
    values = {"limit": limit, "action": action, "by": by, "since": since, "act": None}
    return [AuditRow(*row) for row in connection.execute(ACTS, values)]


def action_by_id(connection: Connection, id_: str) -> AuditRow:
    """One act by its id. UsageError if there is none."""
    values = {"limit": 1, "action": None, "by": None, "since": None, "act": id_}
    row = connection.execute(ACTS, values).first()
    if row is None:
        raise UsageError(f"there is no act {id_} in the audit", hint="`outboxctl audit` lists them")
    return AuditRow(*row)


def events_of(connection: Connection, id_: str, *, limit: int | None = None) -> Iterator[AffectedEvent]:
    """What an act did to each event, in the order of the act, a page at a time."""
    connection.exec_driver_sql(PLAN)  # each event by its id, whatever the statistics are
    values, options = {"act": id_, "limit": limit}, {"yield_per": PAGE}
    return (AffectedEvent(*row) for row in connection.execute(EVENTS_OF, values, execution_options=options))


def states_of(connection: Connection, id_: str) -> dict[str, int]:
    """The states of an act's events now, and how many have each; the most frequent first."""
    connection.exec_driver_sql(PLAN)
    return {str(state): int(count) for state, count in connection.execute(STATES, {"act": id_})}
