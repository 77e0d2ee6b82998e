-- What a worker and a producer of the release before migration 0005 (schema 0004) send.
-- Recorded from that release; a statement begins with its name.

-- plan
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = on; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC'

-- claim
WITH reclaimed AS MATERIALIZED (
    SELECT id FROM search_outbox_events
    WHERE status = 'pending' AND error_reason = 'lease_expired'
        AND (next_retry_at IS NULL OR next_retry_at <= coalesce(:now, now()))
    ORDER BY created_at LIMIT CAST(:alone AS integer) FOR UPDATE SKIP LOCKED
), retries AS MATERIALIZED (
    SELECT id FROM search_outbox_events
    WHERE status = 'pending' AND next_retry_at <= coalesce(:now, now()) AND error_reason IS DISTINCT FROM 'lease_expired'
    ORDER BY next_retry_at, created_at
    LIMIT CASE WHEN EXISTS (SELECT FROM reclaimed) THEN 0 ELSE :size END FOR UPDATE SKIP LOCKED
), fresh AS MATERIALIZED (
    SELECT id FROM search_outbox_events
    WHERE status = 'pending' AND next_retry_at IS NULL AND error_reason IS DISTINCT FROM 'lease_expired'
    ORDER BY next_retry_at, created_at
    LIMIT CASE WHEN EXISTS (SELECT FROM reclaimed) THEN 0 ELSE :size END - (SELECT count(*) FROM retries)
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE search_outbox_events SET
        status = 'processing', owner = :owner, lease_token = CAST(:token AS uuid),
        lease_until = coalesce(:now, now()) + make_interval(secs => :lease),
        processing_started_at = coalesce(:now, now()),
        attempts = least(coalesce(attempts, 0), 2147483646) + 1, updated_at = coalesce(:now, now())
    WHERE id = ANY (ARRAY (
        SELECT id FROM reclaimed UNION ALL SELECT id FROM retries UNION ALL SELECT id FROM fresh))
    RETURNING id, entity_type, entity_id, op, event_version, attempts, next_retry_at, created_at
), found AS (
    SELECT c.*, s.event_version AS source_version, s.document,
        sum(octet_length(s.document)) OVER (ROWS UNBOUNDED PRECEDING) AS so_far
    FROM (SELECT * FROM claimed ORDER BY next_retry_at, created_at) c LEFT JOIN LATERAL (
        SELECT s.event_version, (SELECT to_json(d)::text FROM (
    SELECT s.id, s.entity_type, s.entity_id, s.library_id, s.text, s.snippet, s.rank_score,
           s.event_version, s.created_at, s.updated_at) d) AS document
        FROM search_index s
        WHERE s.entity_type = c.entity_type AND s.entity_id = c.entity_id LIMIT 1
    ) s ON true
)
SELECT id::text, entity_type || ':' || entity_id, op, event_version, attempts, source_version,
    CASE WHEN so_far > :max_bytes AND so_far > octet_length(document) THEN '' ELSE document END
FROM found

-- complete
UPDATE search_outbox_events SET status = 'done', processed_at = coalesce(:now, now()),
    next_retry_at = NULL, error_reason = NULL, error = NULL, owner = NULL, lease_token = NULL, lease_until = NULL, processing_started_at = NULL, updated_at = coalesce(:now, now())
WHERE id = ANY (CAST(:ids AS uuid[])) AND status || '' = 'processing'
    AND lease_token = CAST(:token AS uuid)

-- retry
UPDATE search_outbox_events e SET status = 'pending',
    next_retry_at = coalesce(:now, now()) + make_interval(secs => n.delay),
    error_reason = n.reason, error = n.error, owner = NULL, lease_token = NULL, lease_until = NULL, processing_started_at = NULL, updated_at = coalesce(:now, now())
FROM unnest(CAST(:ids AS uuid[]), CAST(:delays AS float8[]), CAST(:reasons AS text[]),
    CAST(:errors AS text[])) n (id, delay, reason, error)
WHERE e.id = ANY (CAST(:ids AS uuid[])) AND e.id = n.id
    AND e.status || '' = 'processing' AND e.lease_token = CAST(:token AS uuid)
RETURNING e.id::text

-- fail
UPDATE search_outbox_events e SET status = 'failed', next_retry_at = NULL,
    error_reason = n.reason, error = n.error, owner = NULL, lease_token = NULL, lease_until = NULL, processing_started_at = NULL, updated_at = coalesce(:now, now())
FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[]), CAST(:errors AS text[])) n (id, reason, error)
WHERE e.id = ANY (CAST(:ids AS uuid[])) AND e.id = n.id
    AND e.status || '' = 'processing' AND e.lease_token = CAST(:token AS uuid)
RETURNING e.id::text

-- release
UPDATE search_outbox_events SET status = 'pending', attempts = greatest(attempts - 1, 0), owner = NULL, lease_token = NULL, lease_until = NULL, processing_started_at = NULL,
    updated_at = coalesce(:now, now())
WHERE lease_token = ANY (CAST(:tokens AS uuid[])) AND status = 'processing'
RETURNING id::text

-- reclaim
UPDATE search_outbox_events SET
    status = CASE WHEN coalesce(attempts, 0) >= :max_attempts
        THEN 'failed' ELSE 'pending' END,
    next_retry_at = NULL, error_reason = 'lease_expired',
    error = 'lease expired or max processing exceeded, attempt ' || coalesce(attempts, 0)
        || ' of ' || CAST(:max_attempts AS text)
        || ', owner ' || coalesce(left(owner, 120), 'unknown'),
    owner = NULL, lease_token = NULL, lease_until = NULL, processing_started_at = NULL, updated_at = coalesce(:now, now())
WHERE id = ANY (ARRAY (
    SELECT id FROM search_outbox_events WHERE status = 'processing' AND (
    lease_until < coalesce(:now, now())
    OR coalesce(:now, now()) - processing_started_at > make_interval(secs => :max_processing)
    OR (lease_until IS NULL AND processing_started_at IS NULL)) LIMIT 5000 FOR UPDATE SKIP LOCKED))
RETURNING status, op

-- renew
UPDATE search_outbox_events SET lease_until = coalesce(:now, now()) + make_interval(secs => :lease),
    updated_at = coalesce(:now, now())
WHERE lease_token = CAST(:token AS uuid) AND status = 'processing'
    AND coalesce(:now, now()) - processing_started_at < make_interval(secs => :max_processing)
RETURNING id

-- beat
WITH seen AS (
    SELECT sum(pg_stat_get_tuples_inserted(part))::bigint AS inserted FROM (SELECT 'search_outbox_events'::regclass AS part UNION SELECT relid FROM pg_partition_tree('search_outbox_events')) p
), buried AS (
    DELETE FROM outbox_workers WHERE id IN (
        SELECT id FROM outbox_workers WHERE id <> CAST(:id AS uuid)
            AND heartbeat_at < coalesce(:now, now()) - make_interval(secs => :kept) FOR UPDATE SKIP LOCKED)
)
INSERT INTO outbox_workers AS w (id, worker_id, host, pid, version, started_at, heartbeat_at, in_flight,
    outage_policy, circuit_open)
VALUES (CAST(:id AS uuid), :worker_id, :host, :pid, :version,
    coalesce(:now, now()) - make_interval(secs => :uptime), coalesce(:now, now()), :in_flight,
    :outage_policy, :circuit_open)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, in_flight = excluded.in_flight,
    circuit_open = excluded.circuit_open,
    rate_out = :completed / nullif(greatest(
        extract(epoch FROM excluded.heartbeat_at - w.heartbeat_at)::float8, 0), 0),
    rate_in = greatest((SELECT inserted FROM seen) - CAST(:inserted AS bigint), 0) / nullif(greatest(
        extract(epoch FROM excluded.heartbeat_at - w.heartbeat_at)::float8, 0), 0)
RETURNING (SELECT inserted FROM seen)

-- insert
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES (:id, :entity_type, :entity_id, :op, :event_version, 'pending', 0, 0, now(), now())
