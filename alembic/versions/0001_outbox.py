"""The tables of outboxctl.

Adopts a database that already holds the two tables of the lab document: every statement adds what is
missing and drops nothing, so it can also be printed and run by hand.

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None

# entity_key: the text of the document's key, or with `follow` the changed row's columns as JSON. follow:
# the followed table, in an event that stands for all documents behind one of its rows. follow_cursor: the
# last key of the pages that have been expanded. traceparent: W3C Trace Context.
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
    "traceparent": "varchar(55)",
    "entity_key": "text",
    "follow": "smallint",
    "follow_cursor": "text",
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

# Lean on purpose: every further index is paid for at each of an event's three writes. due: the claim's two
# ranges; processing: reclaim and the stuck scan; failed: the operator's commands; reclaimed: events that
# are claimed apart; follow: those of one followed table, the begun ones (a cursor) apart.
INDEXES = """
CREATE INDEX IF NOT EXISTS ix_search_outbox_events_due ON search_outbox_events (next_retry_at, created_at)
    WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS ix_search_outbox_events_processing ON search_outbox_events (lease_until)
    WHERE status = 'processing';
CREATE INDEX IF NOT EXISTS ix_search_outbox_events_failed ON search_outbox_events (created_at)
    WHERE status = 'failed';
CREATE INDEX IF NOT EXISTS ix_search_outbox_events_reclaimed ON search_outbox_events (created_at)
    WHERE status = 'pending' AND error_reason = 'lease_expired';
CREATE INDEX IF NOT EXISTS ix_search_outbox_events_follow
    ON search_outbox_events (entity_type, follow, num_nulls(follow_cursor), created_at)
    WHERE status = 'pending' AND next_retry_at = 'infinity' AND follow IS NOT NULL;
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
# A UUID version 7 as uuidv7() makes it (RFC 9562, section 6.2, method 3): 60 bits of time since 1970 in
# 1/4096 ms, the version in between, and the last 64 bits of a random UUID with their variant.
BY_HAND = (
    "CAST(overlay(lpad(to_hex(CAST(extract(epoch FROM clock_timestamp()) * 4096000 AS bigint)), 15, '0')"
    " PLACING '7' FROM 13 FOR 0) || substr(CAST(gen_random_uuid() AS text), 20) AS uuid)"
)
# Asked of the server that runs it, which need not be the one that it was printed for. A default of the
# application's own stays.
IDS = f"""
DO $$
DECLARE
    was text := (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute
        ON attrelid = adrelid AND attnum = adnum
        WHERE adrelid = 'search_outbox_events'::regclass AND attname = 'id');
BEGIN
    IF coalesce(was, 'gen_random_uuid()') <> 'gen_random_uuid()' THEN
        RETURN;
    ELSIF to_regprocedure('pg_catalog.uuidv7()') IS NOT NULL THEN
        ALTER TABLE search_outbox_events ALTER COLUMN id SET DEFAULT pg_catalog.uuidv7();
    ELSE
        ALTER TABLE search_outbox_events ALTER COLUMN id SET DEFAULT {BY_HAND};
    END IF;
END
$$;
"""
# An event leaves its dead rows however large the table is: a fifth of 100,000,000 done rows is a day's
# backlog of them. A vacuum that comes often finds little to do: it skips the pages that are all visible.
# By the default cost limit it sweeps 40,000 rows a second, two an event: less than a worker leaves.
# Statistics are for the operator's commands alone, and a sample of a large table is many reads: later.
OPTIONS = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "20000",
    "autovacuum_vacuum_insert_scale_factor": "0",
    "autovacuum_vacuum_insert_threshold": "50000",
    "autovacuum_analyze_scale_factor": "0.01",
    "autovacuum_analyze_threshold": "50000",
    "autovacuum_vacuum_cost_limit": "1000",
}
SETTINGS = ", ".join(f"{name} = {value}" for name, value in OPTIONS.items())
# Storage parameters are the leaves' own, for a partitioned table can have none. A table for which somebody
# has set any of them keeps what it has.
AUTOVACUUM = f"""
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN
        SELECT oid FROM pg_class
        WHERE relkind = 'r' AND coalesce(array_to_string(reloptions, ' '), '') !~ 'autovacuum'
            AND (oid = 'search_outbox_events'::regclass
                OR oid IN (SELECT relid FROM pg_partition_tree('search_outbox_events'::regclass)))
    LOOP
        EXECUTE 'ALTER TABLE ' || part::text || ' SET ({SETTINGS})';
    END LOOP;
END
$$;
"""
# One audit row a batch; the rows of one act share act_id (NULL: the row is an act by itself). What the
# events said before the act is kept beside their ids, in the same order: an undo puts it back. The marker
# and the version base are one row each. The versions of projected documents: base + serial number of the
# snapshot that read them; the server and its timeline are those for which the base holds.
OPERATOR_TABLES = """
CREATE TABLE IF NOT EXISTS outbox_operator_audit (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT now(),
    action varchar(20) NOT NULL,
    operator varchar(120) NOT NULL,
    reason text NOT NULL,
    filters jsonb NOT NULL,
    affected bigint NOT NULL,
    event_ids uuid[] NOT NULL,
    act_id uuid,
    before_reasons text[],
    before_errors text[],
    before_attempts integer[],
    before_times timestamptz[],
    logged_in_as text DEFAULT session_user
);
CREATE INDEX IF NOT EXISTS ix_outbox_operator_audit_at ON outbox_operator_audit (at DESC);
CREATE INDEX IF NOT EXISTS ix_outbox_operator_audit_act ON outbox_operator_audit (act_id)
    WHERE act_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS outbox_environment (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    environment varchar(20) NOT NULL CHECK (environment IN ('dev', 'test', 'sandbox', 'prod')),
    written_at timestamptz NOT NULL DEFAULT now()
);
"""
# One unended row an alias: a rebuild that was killed is found there, and goes on. `body` is the new index
# as it shall be in the end; `caught_up_to` the moment up to which events have been followed.
REBUILDS = """
CREATE TABLE IF NOT EXISTS outbox_rebuilds (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    action varchar(20) NOT NULL,
    alias varchar(255) NOT NULL,
    old_index varchar(255),
    new_index varchar(255) NOT NULL,
    concrete boolean NOT NULL,
    body jsonb NOT NULL,
    phase varchar(20) NOT NULL,
    cursor_type varchar(50),
    cursor_id uuid,
    copied bigint NOT NULL DEFAULT 0,
    caught_up bigint NOT NULL DEFAULT 0,
    healed bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    caught_up_to timestamptz NOT NULL DEFAULT now(),
    operator varchar(120) NOT NULL,
    reason text NOT NULL,
    grace_seconds double precision NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    swapped_at timestamptz,
    ended_at timestamptz,
    kept_index varchar(255),
    kept_until timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS uq_outbox_rebuilds_under_way ON outbox_rebuilds (alias)
    WHERE ended_at IS NULL;
"""
# Documents from the application's own tables.
PROJECTIONS = """
CREATE TABLE IF NOT EXISTS outbox_projections (
    name varchar(50) PRIMARY KEY,
    definition jsonb NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by varchar(120) NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox_version_base (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    base bigint NOT NULL DEFAULT 0,
    system_identifier text,
    timeline text,
    raised_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO outbox_version_base DEFAULT VALUES ON CONFLICT DO NOTHING;
"""
# A row a delivered delete, until it has been sent for the last time. projection as in the metrics;
# document_id, version and routing are those of the action. No constraint but the key: a document that is
# deleted twice has two rows, and of two deletes the index takes the newer one.
DELETES = """
CREATE TABLE IF NOT EXISTS outbox_deletes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection text NOT NULL,
    document_id text NOT NULL,
    version bigint NOT NULL,
    routing text NOT NULL DEFAULT '',
    delivered_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_outbox_deletes_due ON outbox_deletes (projection, due_at);
"""
# A row a worker process, written again at every heartbeat: room for HOT updates. progress_at: when it last
# completed an event, or saw none waiting.
WORKERS = """
CREATE TABLE IF NOT EXISTS outbox_workers (
    id uuid PRIMARY KEY,
    worker_id varchar(120) NOT NULL,
    host varchar(255) NOT NULL,
    pid integer NOT NULL,
    version varchar(40) NOT NULL,
    started_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    in_flight integer NOT NULL,
    outage_policy varchar(10) NOT NULL,
    circuit_open boolean NOT NULL,
    rate_in double precision,
    rate_out double precision,
    progress_at timestamptz,
    login varchar(63)
) WITH (fillfactor = 50);
"""
# These two functions leave alone whoever may UPDATE the column, who could write the same a moment later: so
# the owner restores a dump as it was. Functions are dropped before they are made, for OR REPLACE would
# leave them to whoever made one of the name before.
AUDITED = """
DROP TRIGGER IF EXISTS outbox_audit_by_database ON outbox_operator_audit;
DROP FUNCTION IF EXISTS outbox_audit_by_database();
CREATE FUNCTION outbox_audit_by_database() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $outbox$
BEGIN
    IF NOT has_column_privilege(TG_RELID, 'at', 'UPDATE') THEN
        NEW.at := now();
    END IF;
    IF NOT has_column_privilege(TG_RELID, 'logged_in_as', 'UPDATE') THEN
        NEW.logged_in_as := session_user;
    END IF;
    RETURN NEW;
END
$outbox$;
CREATE TRIGGER outbox_audit_by_database BEFORE INSERT ON outbox_operator_audit
FOR EACH ROW EXECUTE FUNCTION outbox_audit_by_database();
"""
# Neither a WHEN clause nor a statement names a column that somebody may drop by hand: the drop would be
# refused, or every insert after it. A minute is for the clocks of applications that set the time themselves.
LATER: tuple[str, ...] = (
    "owner",
    "lease_token",
    "lease_until",
    "processing_started_at",
    "next_retry_at",
    "processed_at",
)
LATER += ("error_reason", "error", "last_replayed_at", "last_replayed_by", "last_replayed_reason")
MARKED = f"""event->>'status' IS DISTINCT FROM 'pending' OR coalesce(event->>'attempts', '0') <> '0'
            OR coalesce(event->>'replay_count', '0') <> '0'
            OR num_nonnulls({", ".join(f"event->>'{column}'" for column in LATER)}) > 0"""
SET_TIME = """
        IF event ? '{0}' AND NEW.{0} NOT BETWEEN now() - interval '1 minute'
                AND clock_timestamp() + interval '1 minute' THEN
            NEW.{0} := now();
        END IF;"""
# The function leaves alone who may UPDATE both columns; who may UPDATE the table may. WHEN says the same
# without a call: 2 us an event of a projection, whose triggers run as the owner of the outbox.
BEGINS = f"""
DROP TRIGGER IF EXISTS outbox_event_begins ON search_outbox_events;
DROP FUNCTION IF EXISTS outbox_event_begins();
CREATE FUNCTION outbox_event_begins() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $outbox$
DECLARE
    of_any_status constant boolean := has_column_privilege(TG_RELID, 'status', 'UPDATE');
    of_any_time constant boolean := has_column_privilege(TG_RELID, 'created_at', 'UPDATE');
    event jsonb;
BEGIN
    IF of_any_status AND of_any_time THEN
        RETURN NEW;
    END IF;
    event := to_jsonb(NEW);
    IF NOT of_any_status AND ({MARKED}) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('permission denied for table %s: an event begins as pending, with no attempt,'
                ' failure, lease, retry or replay', TG_TABLE_NAME),
            HINT = 'insert entity_type, entity_id, op and event_version; the defaults are right';
    END IF;
    IF NOT of_any_time THEN{SET_TIME.format("created_at")}{SET_TIME.format("updated_at")}
    END IF;
    RETURN NEW;
END
$outbox$;
CREATE TRIGGER outbox_event_begins BEFORE INSERT ON search_outbox_events
FOR EACH ROW WHEN (NOT pg_catalog.has_table_privilege('search_outbox_events'::regclass, 'UPDATE'))
EXECUTE FUNCTION outbox_event_begins();
"""
# A worker's row is its login's. Not row level security, for then a dump by a login that only reads fails
# ("query would be affected by row-level security policy", pg_dump's manual). The table's owner, its members
# and superusers may write any row: they could drop the trigger. A row that has been silent for a day is
# anybody's to delete, as the next worker does.
OWN_ROWS = """
DROP TRIGGER IF EXISTS outbox_workers_own ON outbox_workers;
DROP FUNCTION IF EXISTS outbox_workers_own();
CREATE FUNCTION outbox_workers_own() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_catalog.pg_has_role(session_user, (SELECT c.relowner FROM pg_catalog.pg_class c
        WHERE c.oid OPERATOR(pg_catalog.=) TG_RELID), 'MEMBER') THEN
        NULL;
    ELSIF TG_OP <> 'INSERT' AND OLD.login <> session_user::varchar
        AND NOT (TG_OP = 'DELETE' AND OLD.heartbeat_at < pg_catalog.now() - interval '1 day') THEN
        RAISE insufficient_privilege
            USING MESSAGE = format('permission denied for table %s: the row of another login', TG_TABLE_NAME);
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    NEW.login := CASE WHEN TG_OP = 'UPDATE' AND OLD.login IS NOT NULL THEN OLD.login ELSE session_user END;
    RETURN NEW;
END
$$;
CREATE TRIGGER outbox_workers_own BEFORE INSERT OR UPDATE OR DELETE ON outbox_workers
    FOR EACH ROW EXECUTE FUNCTION outbox_workers_own();
"""


def upgrade() -> None:
    op.execute(_table("search_outbox_events", EVENT_COLUMNS))
    op.execute(_table("search_index", SOURCE_COLUMNS))
    for adopted in (CONSTRAINTS, INDEXES, IDS, AUTOVACUUM):
        op.execute(adopted)
    for table in (OPERATOR_TABLES, REBUILDS, PROJECTIONS, DELETES, WORKERS):
        op.execute(table)
    for trigger in (AUDITED, BEGINS, OWN_ROWS):
        op.execute(trigger)


def _table(name: str, columns: dict[str, str]) -> str:
    create = ", ".join(f"{column} {_rest(column, kind)}" for column, kind in columns.items())
    statements = [f"CREATE TABLE IF NOT EXISTS {name} ({create}, PRIMARY KEY (id))"]
    statements += [
        f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column} {_rest(column, kind)}"
        for column, kind in columns.items()
    ]
    # An event's id may have a default of the application's own: IDS looks.
    statements += [
        f"ALTER TABLE {name} ALTER COLUMN {column} SET DEFAULT {DEFAULTS[column]}"
        for column in columns
        if column in DEFAULTS and (name, column) != ("search_outbox_events", "id")
    ]
    return ";\n".join(statements) + ";"


def _rest(column: str, kind: str) -> str:
    default = f" DEFAULT {DEFAULTS[column]}" if column in DEFAULTS else ""
    return f"{kind}{' NOT NULL' if column in REQUIRED else ''}{default}"
