"""Retention: done events older than a cutoff are deleted, range by range of the heap.

No index has `processed_at`: each settle would pay for it. A range of blocks is read by a TID range scan
(PostgreSQL manual, "Tid Range Scan" under `enable_tidscan`), and on a partitioned table the same range of
every partition at once. The conditions are checked in the same statement, so that a row which
has changed meanwhile is not deleted by its old ctid.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from outboxctl.core.schema.names import EVENTS, parts
from outboxctl.core.sql import Connection, text
from outboxctl.domain.lifecycle import Status

START = text(f"""
SELECT now() - :older_than, max(pg_relation_size(part)) / current_setting('block_size')::integer
FROM ({parts(EVENTS)}) p
""")
OLD = f"""ctid >= CAST(:first AS tid) AND ctid < CAST(:end AS tid)
    AND status = '{Status.DONE}' AND processed_at < :cutoff"""
COUNT = text(f"SELECT count(*) FROM {EVENTS} WHERE {OLD}")
DELETE = text(f"DELETE FROM {EVENTS} WHERE {OLD}")


@dataclass(frozen=True)
class PrunePlan:
    """Delete what was done before `cutoff` from the first `blocks` blocks.

    Rows written after the plan are younger than the cutoff, so later blocks need not be read.
    """

    cutoff: datetime
    blocks: int


def plan(connection: Connection, older_than: timedelta) -> PrunePlan:
    """Return the plan for this retention, by the database's clock."""
    cutoff, blocks = connection.execute(START, {"older_than": older_than}).one()
    return PrunePlan(cutoff, int(blocks))


def count(connection: Connection, plan: PrunePlan) -> int:
    """How many events would be deleted now."""
    return int(connection.execute(COUNT, _range(plan, 0, plan.blocks)).scalar_one())


def delete(connection: Connection, plan: PrunePlan, first: int, end: int) -> int:
    """Delete those of the blocks from `first` up to `end` (exclusive); returns how many."""
    return connection.execute(DELETE, _range(plan, first, end)).rowcount


def _range(plan: PrunePlan, first: int, end: int) -> dict[str, object]:
    return {"cutoff": plan.cutoff, "first": f"({first},0)", "end": f"({end},0)"}
