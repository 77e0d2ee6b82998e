"""Replaying failed events: plan (read only), then apply the plan and its audit row in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from outboxctl.core.audit import record
from outboxctl.core.schema import EVENTS, UNHELD, source, target
from outboxctl.failures import Reason
from outboxctl.lifecycle import Verb


@dataclass(frozen=True)
class Selection:
    """Which failed events: every given condition must hold; `until` is exclusive."""

    ids: Sequence[str] = ()
    error_reason: Reason | None = None
    entity_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None

    def as_filter(self) -> dict[str, Any]:
        """The given conditions by name, for the audit row."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: str(v) if isinstance(v, datetime) else v for name, v in given.items() if v}


@dataclass(frozen=True)
class Plan:
    """What an act would touch: `matched` rows fit, `ids` are selected, grouped by reason."""

    selection: Selection
    matched: int
    ids: list[str]
    by_reason: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Act:
    """What an act did: the ids that it moved, and the audit row (None if none did)."""

    ids: list[str]
    audit_id: str | None


# Conditions left out are NULL: one statement for all selections, nothing is pasted into SQL.
FITTING = f"""
FROM {EVENTS} WHERE status = {source(Verb.REPLAY)}
    AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY (CAST(:ids AS uuid[])))
    AND (CAST(:error_reason AS text) IS NULL OR error_reason = :error_reason)
    AND (CAST(:entity_type AS text) IS NULL OR entity_type = :entity_type)
    AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since)
    AND (CAST(:until AS timestamptz) IS NULL OR created_at < :until)
"""
SELECTED = text(f"""
WITH fitting AS (SELECT id, created_at, coalesce(error_reason, 'none') AS reason {FITTING})
SELECT id::text, reason, (SELECT count(*) FROM fitting)
FROM fitting ORDER BY created_at, id LIMIT CAST(:limit AS bigint)
""")
APPLY = text(f"""
UPDATE {EVENTS} SET status = {target(Verb.REPLAY)}, attempts = 0, next_retry_at = NULL, error = NULL,
    error_reason = NULL, processed_at = NULL, {UNHELD},
    replay_count = least(coalesce(replay_count, 0), 2147483646) + 1,
    last_replayed_at = coalesce(:now, now()), last_replayed_by = :by,
    last_replayed_reason = :reason, updated_at = coalesce(:now, now())
WHERE id = ANY (CAST(:ids AS uuid[])) AND status = {source(Verb.REPLAY)}
RETURNING id::text
""")


def plan(connection: Connection, selection: Selection) -> Plan:
    """What `apply` would touch: the oldest first, at most `selection.limit`."""
    rows = connection.execute(SELECTED, _parameters(selection)).all()
    reasons = [reason for _, reason, _ in rows]
    counts = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
    return Plan(selection, rows[0][2] if rows else 0, [id_ for id_, _, _ in rows], counts)


def apply(connection: Connection, plan: Plan, *, by: str, reason: str, now: datetime | None = None) -> Act:
    """Put the planned rows back to pending and write the audit row, in the caller's transaction.

    A row that is no longer failed (another replay took it) is left alone and not in the result.
    """
    given = {"ids": plan.ids, "by": by, "reason": reason, "now": now}
    ids = list(connection.execute(APPLY, given).scalars()) if plan.ids else []
    return audited(connection, "replay", plan, ids, by=by, reason=reason)


def audited(connection: Connection, action: str, plan: Plan, ids: list[str], *, by: str, reason: str) -> Act:
    """Write the audit row of an act that moved `ids`; one that moved nothing leaves none."""
    if not ids:
        return Act([], None)
    filters = plan.selection.as_filter()
    return Act(ids, record(connection, action, by=by, reason=reason, filters=filters, ids=ids))


def _parameters(selection: Selection) -> dict[str, Any]:
    return {
        "ids": list(selection.ids) or None,
        "error_reason": selection.error_reason and selection.error_reason.value,
        "entity_type": selection.entity_type,
        "since": selection.since,
        "until": selection.until,
        "limit": selection.limit,
    }
