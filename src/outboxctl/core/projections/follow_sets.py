"""Many follow events of one followed table, expanded together in one transaction: all of them, or none.

Nothing is claimed: the events stay locked from their selection to their end, so that a worker that is killed
leaves them as they were. Their keys are found by one query, each key once.
"""

from collections.abc import Sequence
from typing import NamedTuple

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.projections import follow_keys, follow_pages
from outboxctl.core.projections.documents import session
from outboxctl.core.projections.follow_pages import FollowEvent
from outboxctl.core.projections.follow_tables import FOLLOWS, FRESH, FollowedTable
from outboxctl.core.projections.in_force import STAMP
from outboxctl.core.schema.names import EVENTS, ONE_MORE_ATTEMPT, STATUS_IS, UNHELD, id_array
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Projection

MOST = 1_000  # events in one set
WRITE_SECONDS = 15.0  # for a statement that writes what was found: on a busy server
MOST_BYTES = 4 * 2**20  # of the rows' columns in one set
LOCK = text(f"""
WITH locked AS MATERIALIZED (
    SELECT id, created_at, entity_key, attempts FROM {EVENTS}
    WHERE {FOLLOWS} AND entity_type = :name AND follow = :place AND {FRESH}
    ORDER BY created_at LIMIT :size FOR UPDATE SKIP LOCKED
), measured AS (
    SELECT *, sum(octet_length(entity_key)) OVER (ORDER BY created_at ROWS UNBOUNDED PRECEDING) AS so_far
    FROM locked
)
SELECT id::text, entity_key, attempts, {STAMP.format(name=":name")} FROM measured
WHERE so_far <= {MOST_BYTES} OR so_far = octet_length(entity_key) ORDER BY created_at
""")
COMPLETE = text(f"""
UPDATE {EVENTS} SET status = 'done', processed_at = now(), next_retry_at = NULL, error_reason = NULL,
    error = NULL, attempts = {ONE_MORE_ATTEMPT}, {UNHELD}, updated_at = now()
WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} 'pending'
""")


class Expanded(NamedTuple):
    """How many events are done, how many keys were written for them, and the first and last key event."""

    events: int
    keys: int
    ends: Sequence[str]


def lock(connection: Connection, table: FollowedTable, size: int) -> list[FollowEvent]:
    """Lock the oldest `size` events of the table that have not begun, without those that others have locked.

    Fewer where their rows are large, but one at least; none where there is none.
    """
    connection.exec_driver_sql(PLAN)
    values = {"name": table.projection, "place": table.place, "size": size}
    return [
        FollowEvent(id_, table.projection, table.place, key, {}, attempts or 0, stamp)
        for id_, key, attempts, stamp in connection.execute(LOCK, values)
    ]


def expand(
    connection: Connection,
    projection: Projection,
    events: Sequence[FollowEvent],
    *,
    seconds: float,
    lock_seconds: float,
) -> Expanded | None:
    """Write an event of each key behind these events, which end; None where half a page has no room for them.

    All must be of one query that `follow_query.fits`. Raises ReadRefusedError where PostgreSQL refuses it for
    one of them, in at most `seconds`; a lock on what it reads is waited for at most `lock_seconds`.
    """
    keys = follow_keys.read_set(connection, projection, events, seconds=seconds, lock_seconds=lock_seconds)
    if keys is None:
        return None
    connection.exec_driver_sql(session(WRITE_SECONDS))
    ends = follow_pages.write(connection, projection.name, keys)
    connection.execute(COMPLETE, {"ids": id_array(event.id for event in events)})
    return Expanded(len(events), len(keys), ends)
