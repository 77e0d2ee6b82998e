"""The operator's audit trail: written in the transaction of the act it records, never changed.

`trail` reads it. As whom its writer was logged in, the database adds by itself (migration 0007).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from json import dumps
from typing import Any

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import AUDIT
from outboxctl.domain.lifecycle import Verb

# All that is ever written: who asks for another one has mistyped it.
REBUILDS = ("rebuild", "rebuild rollback", "rebuild abort", "rebuild cleanup")
ACTIONS = (Verb.REPLAY.value, Verb.UNDO.value, Verb.DISCARD.value, "repair", "prune", "mark", *REBUILDS)
INSERT = text(f"""
INSERT INTO {AUDIT} (at, action, operator, reason, filters, affected, event_ids, act_id)
VALUES (coalesce(:now, now()), :action, :by, :reason, CAST(:filters AS jsonb), :affected,
    CAST(:ids AS uuid[]), CAST(:act_id AS uuid))
RETURNING id::text
""")


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
    now: datetime | None = None,
) -> str:
    """Write one audit row; returns its id.

    A long act writes one row a batch, each with the same `act_id`. `affected` is given
    where the act did not touch events by id.
    Raises ValueError for an action that is none of ACTIONS.
    """
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}")
    given: dict[str, Any] = {"action": action, "by": by, "reason": reason, "now": now}
    # Without \u escapes: a database that is SQL_ASCII refuses each that is beyond ASCII.
    given |= {"filters": dumps(dict(filters), ensure_ascii=False), "act_id": act_id, "ids": list(ids)}
    given |= {"affected": len(ids) if affected is None else affected}
    return str(connection.execute(INSERT, given).scalar_one())
