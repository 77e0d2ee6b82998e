"""Events of projections, as an operator sees and ends them: counted, and discarded where one is dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps

from outboxctl.core.operator.moves import KEPT
from outboxctl.core.schema.names import AUDIT, EVENTS, STATUS_IS, UNHELD, source, target
from outboxctl.core.sql import Connection, text
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Status, Verb

BATCH = 5_000  # events in one transaction
COUNTS = text(f"""
SELECT n.name, coalesce(c.pending, 0), coalesce(c.processing, 0), coalesce(c.failed, 0), c.oldest
FROM unnest(CAST(:names AS text[])) n (name) LEFT JOIN (
    SELECT entity_type, count(*) FILTER (WHERE status = '{Status.PENDING}') AS pending,
        count(*) FILTER (WHERE status = '{Status.PROCESSING}') AS processing,
        count(*) FILTER (WHERE status = '{Status.FAILED}') AS failed,
        max(greatest(0, extract(epoch FROM now() - created_at)))
            FILTER (WHERE status <> '{Status.FAILED}' AND created_at > '0001-01-02')::float8 AS oldest
    FROM {EVENTS} WHERE status IN ('{Status.PENDING}', '{Status.PROCESSING}', '{Status.FAILED}')
    GROUP BY entity_type
) c ON c.entity_type = n.name
""")
# Only events that no worker holds; one that is settled after all is not touched. The audit keeps what the
# rows held before, as that of every other move does.
DISCARD = text(f"""
WITH taken AS MATERIALIZED (
    SELECT id, error_reason, left(error, {KEPT}) AS error, attempts, updated_at FROM {EVENTS}
    WHERE status = {source(Verb.DROP)} AND entity_type = :name
    LIMIT {BATCH} FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE {EVENTS} SET status = {target(Verb.DROP)}, processed_at = now(), next_retry_at = NULL,
        error_reason = '{Reason.DISCARDED}', {UNHELD}, updated_at = now()
    WHERE id = ANY (ARRAY (SELECT id FROM taken)) AND {STATUS_IS} {source(Verb.DROP)} AND entity_type = :name
)
INSERT INTO {AUDIT} (at, action, operator, reason, filters, act_id, affected, event_ids, before_reasons,
    before_errors, before_attempts, before_times)
SELECT now(), 'projection drop', :by, :reason, CAST(:filters AS jsonb), CAST(:act_id AS uuid), count(*),
    array_agg(id), array_agg(error_reason), array_agg(error), array_agg(attempts), array_agg(updated_at)
FROM taken HAVING count(*) > 0
RETURNING affected
""")


@dataclass(frozen=True)
class Waiting:
    """Events of a projection: how many wait, are in work, have failed; the oldest one's age in seconds."""

    pending: int
    processing: int
    failed: int
    oldest_seconds: float | None


def counts(connection: Connection, names: Sequence[str]) -> dict[str, Waiting]:
    """The events of each of these projections that are not done."""
    rows = connection.execute(COUNTS, {"names": list(names)})
    return {name: Waiting(*values) for name, *values in rows}


def discard(connection: Connection, name: str, *, by: str, reason: str, act_id: str) -> int:
    """End waiting events of a projection as done without a delivery, audited; at most BATCH. How many."""
    values = {"name": name, "by": by, "reason": reason, "act_id": act_id}
    values["filters"] = dumps({"projection": name})
    return int(connection.execute(DISCARD, values).scalar() or 0)
