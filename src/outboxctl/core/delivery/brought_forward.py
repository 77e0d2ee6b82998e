"""Events that wait for their projection's index or view are due at once: it can be delivered again."""

from collections.abc import Collection

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.schema.names import EVENTS, STATUS_IS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Status

BATCH = 5_000  # events in one transaction
# A follow event waits at `infinity`, and for its expander. Events of search_index have no key.
BRING_FORWARD = text(f"""
WITH waiting AS MATERIALIZED (
    SELECT id FROM {EVENTS}
    WHERE status = '{Status.PENDING}' AND next_retry_at > now() AND next_retry_at < 'infinity'
        AND error_reason = ANY (CAST(:reasons AS text[]))
        AND CASE WHEN CAST(:name AS text) = '' THEN num_nulls(entity_key) = 1
            ELSE entity_type = :name AND num_nonnulls(entity_key) = 1 AND num_nulls(follow) = 1 END
    LIMIT {BATCH} FOR UPDATE SKIP LOCKED
)
UPDATE {EVENTS} SET next_retry_at = now(), updated_at = now()
WHERE id = ANY (ARRAY (SELECT id FROM waiting)) AND {STATUS_IS} '{Status.PENDING}'
""")


def bring_forward(connection: Connection, projection: str, reasons: Collection[Reason]) -> int:
    """Make waiting events of a projection due that were put back for one of these reasons, at most BATCH.

    `projection` is empty for search_index. Returns how many there were; those that somebody has locked are
    left to their time.
    """
    connection.exec_driver_sql(PLAN)
    values = {"name": projection, "reasons": [reason.value for reason in reasons]}
    return connection.execute(BRING_FORWARD, values).rowcount
