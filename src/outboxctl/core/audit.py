"""The operator's audit trail: written in the transaction of the act it records, never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from json import dumps
from typing import Any

from sqlalchemy import Connection, text

from outboxctl.core.schema import AUDIT

INSERT = text(f"""
INSERT INTO {AUDIT} (action, operator, reason, filters, affected, event_ids)
VALUES (:action, :by, :reason, CAST(:filters AS jsonb), :affected, CAST(:ids AS uuid[]))
RETURNING id::text
""")
SELECT = text(f"""
SELECT id::text, at, action, operator, reason, filters, affected, event_ids[1:100]::text[]
FROM {AUDIT} ORDER BY at DESC, id LIMIT :limit
""")


@dataclass(frozen=True)
class AuditRow:
    """Who did what, when, why, to how many; `event_ids` holds the first 100."""

    id: str
    at: datetime
    action: str
    operator: str
    reason: str
    filters: dict[str, Any]
    affected: int
    event_ids: list[str]


def record(
    connection: Connection,
    action: str,
    *,
    by: str,
    reason: str,
    filters: Mapping[str, Any],
    ids: Sequence[str],
) -> str:
    """Write one audit row; returns its id."""
    given = {"action": action, "by": by, "reason": reason, "filters": dumps(dict(filters))}
    return str(connection.execute(INSERT, given | {"affected": len(ids), "ids": list(ids)}).scalar_one())


def recent(connection: Connection, *, limit: int) -> list[AuditRow]:
    """The latest acts, newest first."""
    return [AuditRow(*row) for row in connection.execute(SELECT, {"limit": limit})]
