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

BATCH = 5_000  # rows a transaction: no worker waits for a done row, and each batch is an audit row
FEW, MOST = 16, 1_024  # blocks a transaction, at first and at most: 8 MB are read in some milliseconds


class Walk:
    """Takes ranges of the first `blocks` blocks, of a length that has about `wanted` rows to delete."""

    def __init__(self, blocks: int, wanted: int) -> None:
        self._at, self._end = 0, blocks
        self._wanted, self._length = wanted, FEW

    def take(self) -> tuple[int, int] | None:
        """The next range: its first block and the one after its last; None when all were taken."""
        first, self._at = self._at, min(self._end, self._at + self._length)
        return (first, self._at) if first < self._at else None

    def adapt(self, rows: int) -> None:
        """Adapt the length to the `rows` of the last range: long where few are deleted, else short."""
        if rows * 2 < self._wanted:
            self._length = min(MOST, self._length * 2)
        elif rows > self._wanted:
            self._length = max(1, self._length // 2)


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
    act_id, walk = str(uuid4()), Walk(plan.blocks, max(1, min(BATCH, int(rate))))
    audit: dict[str, Any] = {"by": by, "reason": reason, "filters": filters, "act_id": act_id}

    def batch(first: int, end: int) -> int:
        with database.begin() as connection:
            rows = core.delete(connection, plan, first, end)
            if rows:
                record(connection, "prune", ids=[], affected=rows, **audit)
        walk.adapt(rows)
        advance(end - first)
        return rows

    steps = (partial(batch, *blocks) for blocks in iter(walk.take, None))
    total = sum(batches.run(steps, stop=stop, rate=rate))
    return Pruned(total, act_id if total else None, stop.is_set())
