"""The outbox, its source table, the audit trail and the environment marker.

Adopts a database that already holds the two tables of the lab document: every statement adds what is
missing and drops nothing, so it can also be printed and run by hand.

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None

EVENT_COLUMNS = {
    "id": "uuid",
    "entity_type": "varchar(50)",
    "entity_id": "uuid",
    "op": "varchar(20)",
    "event_version": "bigint",
    "status": "varchar(20)",
    "owner": "varchar(120)",
    "lease_token": "uuid",
    "lease_until": "timestamptz",
    "processing_started_at": "timestamptz",
    "attempts": "integer",
    "next_retry_at": "timestamptz",
    "processed_at": "timestamptz",
    "error_reason": "varchar(80)",
    "error": "text",
    "replay_count": "integer",
    "last_replayed_at": "timestamptz",
    "last_replayed_by": "varchar(120)",
    "last_replayed_reason": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}
SOURCE_COLUMNS = {
    "id": "uuid",
    "entity_type": "varchar(50)",
    "entity_id": "uuid",
    "library_id": "uuid",
    "text": "text",
    "snippet": "text",
    "rank_score": "double precision",
    "event_version": "bigint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}
DEFAULTS = {
    "id": "gen_random_uuid()",
    "status": "'pending'",
    "attempts": "0",
    "replay_count": "0",
    "created_at": "now()",
    "updated_at": "now()",
}
REQUIRED = {
    "entity_type",
    "entity_id",
    "op",
    "status",
    "attempts",
    "replay_count",
    "created_at",
    "updated_at",
}

# Lean on purpose: every further index is paid for at each of an event's three writes.
# due: the claim's two ranges; processing: reclaim and the stuck scan; failed: the operator's desk.
INDEXES = """
CREATE INDEX IF NOT EXISTS ix_search_outbox_events_due ON search_outbox_events (next_retry_at, created_at)
    WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS ix_search_outbox_events_processing ON search_outbox_events (lease_until)
    WHERE status = 'processing';
CREATE INDEX IF NOT EXISTS ix_search_outbox_events_failed ON search_outbox_events (created_at)
    WHERE status = 'failed';
"""
# NOT VALID: old rows are not read, and one that another tool wrote does not stop the adoption.
CONSTRAINTS = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'search_outbox_events'::regclass
                   AND conname = 'ck_search_outbox_events_status') THEN
        ALTER TABLE search_outbox_events ADD CONSTRAINT ck_search_outbox_events_status
            CHECK (status IN ('pending', 'processing', 'done', 'failed')) NOT VALID;
    END IF;
    -- A partitioned table can have a unique id only together with what it is partitioned by.
    IF EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = 'search_outbox_events'::regclass) THEN
        IF NOT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
                       WHERE indrelid = 'search_outbox_events'::regclass AND attname = 'id') THEN
            CREATE INDEX ix_search_outbox_events_id ON search_outbox_events (id);
        END IF;
    ELSIF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = 'search_outbox_events'::regclass AND indisunique
                   AND indkey::text = (SELECT attnum::text FROM pg_attribute
                                       WHERE attrelid = indrelid AND attname = 'id')) THEN
        ALTER TABLE search_outbox_events ADD PRIMARY KEY (id);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = 'search_index'::regclass AND i.indisunique
                   AND i.indpred IS NULL AND i.indnkeyatts = 2
                   AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
                        WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
                       = ARRAY['entity_id', 'entity_type']) THEN
        ALTER TABLE search_index ADD CONSTRAINT uq_search_index_entity UNIQUE (entity_type, entity_id);
    END IF;
END
$$;
"""
AUDIT = """
CREATE TABLE IF NOT EXISTS outbox_operator_audit (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT now(),
    action varchar(20) NOT NULL,
    operator varchar(120) NOT NULL,
    reason text NOT NULL,
    filters jsonb NOT NULL,
    affected bigint NOT NULL,
    event_ids uuid[] NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_outbox_operator_audit_at ON outbox_operator_audit (at DESC);
CREATE TABLE IF NOT EXISTS outbox_environment (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    environment varchar(20) NOT NULL CHECK (environment IN ('dev', 'test', 'sandbox', 'prod')),
    written_at timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    op.execute(_table("search_outbox_events", EVENT_COLUMNS))
    op.execute(_table("search_index", SOURCE_COLUMNS))
    op.execute(CONSTRAINTS)
    op.execute(INDEXES)
    op.execute(AUDIT)


def downgrade() -> None:
    # The events and the source rows are the user's: only what nobody else reads is taken away.
    op.execute("DROP INDEX IF EXISTS ix_search_outbox_events_due, ix_search_outbox_events_processing")
    op.execute("DROP INDEX IF EXISTS ix_search_outbox_events_failed")


def _table(name: str, columns: dict[str, str]) -> str:
    create = ", ".join(f"{column} {_rest(column, kind)}" for column, kind in columns.items())
    statements = [f"CREATE TABLE IF NOT EXISTS {name} ({create}, PRIMARY KEY (id))"]
    statements += [
        f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column} {_rest(column, kind)}"
        for column, kind in columns.items()
    ]
    # An event's id may have a default of the application's own: 0004 looks.
    statements += [
        f"ALTER TABLE {name} ALTER COLUMN {column} SET DEFAULT {DEFAULTS[column]}"
        for column in columns
        if column in DEFAULTS and (name, column) != ("search_outbox_events", "id")
    ]
    return ";\n".join(statements) + ";"


def _rest(column: str, kind: str) -> str:
    default = f" DEFAULT {DEFAULTS[column]}" if column in DEFAULTS else ""
    return f"{kind}{' NOT NULL' if column in REQUIRED else ''}{default}"
