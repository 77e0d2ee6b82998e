"""Failed events whose document has been delivered since, by a newer event or the replay of another one.

Such a delivery read the row as it was after the failure: nothing is left to be replayed.
"""

from outboxctl.core.projections.choosing import Scope
from outboxctl.core.schema.names import EVENTS
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import Reason

# The done events have no index for it, which each write of an event would pay for: they are read once, beside
# a hash of the failed ones. Ten million take a few seconds, and none is read where nothing has failed.
DELIVERED = f"""
WITH delivered AS MATERIALIZED (
    SELECT DISTINCT f.id FROM {EVENTS} f JOIN {EVENTS} o USING (entity_type, entity_id)
    WHERE f.status = 'failed' AND o.status = 'done' AND o.processed_at > f.updated_at
        AND greatest(o.created_at, o.last_replayed_at) > f.created_at
        AND o.error_reason IS DISTINCT FROM '{Reason.DISCARDED}'
)"""
NOT_LOOKED_FOR = "WITH delivered AS (SELECT CAST(NULL AS uuid) AS id WHERE false)"
IS_DELIVERED = "id IN (SELECT id FROM delivered)"
# Statistics may say that nothing has failed: a nested loop would compare all events with all events.
HASHED = "SET LOCAL enable_nestloop = off"


def count(connection: Connection, of: Scope) -> int:
    """How many failed events of a projection, or of all, have been delivered since."""
    connection.exec_driver_sql(HASHED)
    statement = f"{DELIVERED} SELECT count(*) FROM {EVENTS} WHERE status = 'failed' AND {IS_DELIVERED}"
    return int(connection.execute(text(statement + of.condition), dict(of.values)).scalar_one())
