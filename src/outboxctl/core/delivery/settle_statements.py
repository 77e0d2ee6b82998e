"""The statements that settle a claim: each is guarded by the lease token and returns the ids it changed."""

from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.delivery.deletes import NOTED
from outboxctl.core.schema.names import EVENTS, STATUS_IS, UNHELD, source, target
from outboxctl.core.sql import text
from outboxctl.domain.lifecycle import Verb

# Retries and failures are joined with an outcome each. A nested loop would compare each event with every
# outcome (1,000 settled in 700 instead of 10 ms): the planner may use a hash join only.
JOIN = f"{PLAN}; SET LOCAL enable_hashjoin = on; SET LOCAL enable_nestloop = off"

COMPLETED = f"""
UPDATE {EVENTS} SET status = {target(Verb.COMPLETE)}, processed_at = now(),
    next_retry_at = NULL, error_reason = NULL, error = NULL, {UNHELD}, updated_at = now()
WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} {source(Verb.COMPLETE)}
    AND lease_token = CAST(:token AS uuid)
"""
COMPLETE = text(COMPLETED)
# Deletes are written whatever the claim still holds: they were delivered.
COMPLETE_DELETES = text(f"WITH noted AS ({NOTED}) {COMPLETED}")

# An event of each of these documents of a page that is completed by the same transaction. Their age begins
# anew: a worker may choose no time.
SPLIT = text(f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, entity_key)
SELECT e.entity_type, CAST(md5(concat(e.entity_type, ':', key)) AS uuid), 'upsert', key
FROM {EVENTS} e CROSS JOIN json_array_elements_text(CAST(:keys AS json)) key
WHERE e.id = CAST(:id AS uuid) AND e.{STATUS_IS} {source(Verb.COMPLETE)}
    AND e.lease_token = CAST(:token AS uuid)
""")

# Executed only where the row count is short: a thousand returned ids cost the worker half a microsecond each.
# A row that this transaction wrote has its id as xmin.
WRITTEN = text(f"""
SELECT id::text FROM {EVENTS}
WHERE id = ANY (CAST(:ids AS uuid[])) AND xmin = pg_current_xact_id()::xid
""")

# Rows that others have locked are skipped: a release happens at a stop, which cannot wait.
CLAIMS = "lease_token = ANY (CAST(:tokens AS uuid[]))"
RELEASE = text(f"""
UPDATE {EVENTS} SET status = {target(Verb.RELEASE)}, attempts = greatest(attempts - 1, 0), {UNHELD},
    updated_at = now()
WHERE id = ANY (ARRAY (
    SELECT id FROM {EVENTS} WHERE {CLAIMS} AND status = {source(Verb.RELEASE)}
        AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY (CAST(:ids AS uuid[])))
    FOR NO KEY UPDATE SKIP LOCKED))
    AND {STATUS_IS} {source(Verb.RELEASE)} AND {CLAIMS}
RETURNING id::text
""")

# The same lock as an update's: a foreign key that refers to the row does not conflict.
HELD = f"SELECT id::text FROM {EVENTS} WHERE {CLAIMS} AND status = {source(Verb.COMPLETE)}"
HOLD = text(f"{HELD} FOR NO KEY UPDATE SKIP LOCKED")
HELD_ROWS = text(HELD)

RETRY = text(f"""
UPDATE {EVENTS} e SET status = {target(Verb.RETRY)},
    next_retry_at = now() + make_interval(secs => n.delay),
    error_reason = n.reason, error = n.error, {UNHELD}, updated_at = now()
FROM unnest(CAST(:ids AS uuid[]), CAST(:delays AS float8[]), CAST(:reasons AS text[]),
    CAST(:errors AS text[])) n (id, delay, reason, error)
WHERE e.id = ANY (CAST(:ids AS uuid[])) AND e.id = n.id
    AND e.{STATUS_IS} {source(Verb.RETRY)} AND e.lease_token = CAST(:token AS uuid)
RETURNING e.id::text
""")

# A separate statement, since hardly any retry needs it; the retry itself follows.
RETURN_ATTEMPT = text(f"""
UPDATE {EVENTS} SET attempts = greatest(attempts - 1, 0)
WHERE id = ANY (CAST(:ids AS uuid[])) AND {STATUS_IS} {source(Verb.RETRY)}
    AND lease_token = CAST(:token AS uuid)
""")

FAIL = text(f"""
UPDATE {EVENTS} e SET status = {target(Verb.FAIL)}, next_retry_at = NULL,
    error_reason = n.reason, error = n.error, {UNHELD}, updated_at = now()
FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[]), CAST(:errors AS text[])) n (id, reason, error)
WHERE e.id = ANY (CAST(:ids AS uuid[])) AND e.id = n.id
    AND e.{STATUS_IS} {source(Verb.FAIL)} AND e.lease_token = CAST(:token AS uuid)
RETURNING e.id::text
""")
