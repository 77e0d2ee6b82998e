"""How long fresh events wait for a worker: what a load beside the worker must not make longer."""

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats.counts import FINITE

SOME = 10  # events: a lone one waits for the next poll, however quick the worker is
# The index has events that were never tried in this order, so these are the first of their range.
WAITING = text(f"""
SELECT extract(epoch FROM now() - created_at)::float8 FROM {EVENTS}
WHERE status = 'pending' AND next_retry_at IS NULL AND {FINITE}
ORDER BY next_retry_at, created_at OFFSET {SOME - 1} LIMIT 1
""")


def waiting(connection: Connection) -> float:
    """Seconds that at least ten events have waited for their first attempt; 0 where fewer wait."""
    connection.exec_driver_sql(PLAN)
    return max(0.0, connection.execute(WAITING).scalar() or 0.0)
