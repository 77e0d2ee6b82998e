"""Pruning: done events older than a retention are deleted, paced, in audited batches."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from outboxctl.core.database import Database
from outboxctl.core.operator import prune as core
from outboxctl.core.operator.audit import record
from outboxctl.core.operator.prune import PrunePlan
from outboxctl.operations import batches

BLOCKS = 64  # a transaction: some thousand rows, for which no worker waits, and an audit row


@dataclass(frozen=True)
class Pruned:
    """Rows deleted; the action's audit id (None if there were none); whether it was stopped early."""

    rows: int
    audit_id: str | None
    interrupted: bool


def apply(
    database: Database,
    plan: PrunePlan,
    *,
    by: str,
    reason: str,
    filters: dict[str, Any],
    stop: threading.Event,
    rate: float,
    advance: Callable[[int], object] = lambda _: None,
) -> Pruned:
    """Delete at most `rate` rows a second until all blocks are read (`advance`) or `stop`; audited."""
    act_id = str(uuid4())
    audit: dict[str, Any] = {"by": by, "reason": reason, "filters": filters, "act_id": act_id}

    def batch(first: int) -> int:
        end = min(plan.blocks, first + BLOCKS)
        with database.begin() as connection:
            rows = core.delete(connection, plan, first, end)
            if rows:
                record(connection, "prune", ids=[], affected=rows, **audit)
        advance(end - first)
        return rows

    steps = (partial(batch, first) for first in range(0, plan.blocks, BLOCKS))
    total = sum(batches.run(steps, stop=stop, rate=rate))
    return Pruned(total, act_id if total else None, stop.is_set())
