"""The oldest event that was tried, and is to be tried again: what one shard, index or projection refuses."""

from dataclasses import dataclass

from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats.counts import AGE, FINITE
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import PROJECTION

TRIED = f"error_reason IS NOT NULL AND error_reason <> '{Reason.LEASE_EXPIRED}' AND {FINITE}"
SINCE = "greatest(created_at, last_replayed_at)"  # greatest() leaves NULL out
# Each branch reads the events between two attempts alone, of which a backlog has few.
OLDEST = text(f"""
SELECT {AGE.format(SINCE)}, error_reason,
    CASE WHEN entity_key IS NOT NULL THEN entity_type ELSE '{PROJECTION}' END
FROM (
    (SELECT * FROM {EVENTS} WHERE status = 'pending' AND next_retry_at IS NOT NULL AND {TRIED}
        ORDER BY {SINCE} LIMIT 1)
    UNION ALL
    (SELECT * FROM {EVENTS} WHERE status = 'processing' AND {TRIED} ORDER BY {SINCE} LIMIT 1)
) o ORDER BY {SINCE} LIMIT 1
""")


@dataclass(frozen=True)
class InVain:
    """How many seconds ago the event was made or replayed, the reason of its last try, and its projection."""

    age_seconds: float
    reason: str
    projection: str


def oldest_in_vain(connection: Connection) -> InVain | None:
    """None while no event waits for another attempt."""
    row = connection.execute(OLDEST).one_or_none()
    return InVain(max(0.0, row[0]), row[1], row[2]) if row else None
