"""The tables of outboxctl.

Adopts a database that already holds the two tables of the lab document: every statement adds what is
missing and drops nothing, so it can also be printed and run by hand.

A revision has the name of its file. Those of checkouts before the first release were numbers alone, from 0001
to 0018: what they made is not taken over.

Revision ID: 0001_outbox
Revises:
"""

from alembic import op
from sqlalchemy import DefaultClause, Table
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from outboxctl.core.projections.version_base import AT_ONCE, STEP
from outboxctl.core.sql.engine import DIALECT
from outboxctl.core.tables import EVENTS, METADATA, SOURCE
from outboxctl.domain.projection import MAX_KEY_BYTES

revision = "0001_outbox"
down_revision = None

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
BASE = "INSERT INTO outbox_version_base DEFAULT VALUES ON CONFLICT DO NOTHING"
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
LATER = (
    *("owner", "lease_token", "lease_until", "processing_started_at", "next_retry_at", "processed_at"),
    *("error_reason", "error", "last_replayed_at", "last_replayed_by", "last_replayed_reason"),
    *("follow", "follow_cursor"),
)
MARKED = f"""event->>'status' IS DISTINCT FROM 'pending' OR coalesce(event->>'attempts', '0') <> '0'
            OR coalesce(event->>'replay_count', '0') <> '0'
            OR num_nonnulls({", ".join(f"event->>'{column}'" for column in LATER)}) > 0"""
SET_TIME = """
        IF event ? '{0}' AND NEW.{0} NOT BETWEEN now() - interval '1 minute'
                AND clock_timestamp() + interval '1 minute' THEN
            NEW.{0} := now();
        END IF;"""
# The function leaves alone who may UPDATE both columns (of the outbox: TG_RELID may be a partition of it, on
# which no role has rights); who may UPDATE the table may. WHEN says the same without a call: 2 us an event of
# a projection, whose triggers run as the owner of the outbox.
BEGINS = f"""
DROP TRIGGER IF EXISTS outbox_event_begins ON search_outbox_events;
DROP FUNCTION IF EXISTS outbox_event_begins();
CREATE FUNCTION outbox_event_begins() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $outbox$
DECLARE
    outbox constant oid := coalesce(pg_partition_root(TG_RELID), TG_RELID);
    of_any_status constant boolean := has_column_privilege(outbox, 'status', 'UPDATE');
    of_any_time constant boolean := has_column_privilege(outbox, 'created_at', 'UPDATE');
    event jsonb;
BEGIN
    IF of_any_status AND of_any_time THEN
        RETURN NEW;
    END IF;
    event := to_jsonb(NEW);
    IF NOT of_any_status AND ({MARKED}) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('permission denied for table %s: an event begins as pending, with no attempt,'
                ' failure, lease, retry or replay, and follows nothing', TG_TABLE_NAME),
            HINT = 'insert entity_type, entity_id, op and event_version; the defaults are right';
    END IF;
    IF NOT of_any_status AND octet_length(event->>'entity_key') > {MAX_KEY_BYTES} THEN
        RAISE program_limit_exceeded USING
            MESSAGE = 'an entity_key of more than {MAX_KEY_BYTES} bytes is not supported';
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
# A worker raises the base of versions, within bounds, for its login may be stolen: below what the base was
# documents stay out of date, and near the end of bigint no event is delivered any more. The table's owner,
# its members and superusers may write any base: they could drop the trigger.
RISES = f"""
DROP TRIGGER IF EXISTS outbox_version_base_rises ON outbox_version_base;
DROP FUNCTION IF EXISTS outbox_version_base_rises();
CREATE FUNCTION outbox_version_base_rises() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $outbox$
BEGIN
    IF NEW.base NOT BETWEEN OLD.base AND greatest({AT_ONCE}, OLD.base::numeric + {STEP})
        AND NOT pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for table %s: the base rises,'
            ' to {AT_ONCE} or by {STEP} at most', TG_TABLE_NAME);
    END IF;
    RETURN NEW;
END
$outbox$;
CREATE TRIGGER outbox_version_base_rises BEFORE UPDATE ON outbox_version_base
FOR EACH ROW EXECUTE FUNCTION outbox_version_base_rises();
"""


def upgrade() -> None:
    for table in METADATA.tables.values():
        op.execute(CreateTable(table, if_not_exists=True))
    for adopted in (EVENTS, SOURCE):
        op.execute(_missing(adopted))
    op.execute(CONSTRAINTS)
    for table in METADATA.tables.values():
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            op.execute(CreateIndex(index, if_not_exists=True))
    for statement in (IDS, AUTOVACUUM, BASE, AUDITED, BEGINS, OWN_ROWS, RISES):
        op.execute(statement)


def _missing(table: Table) -> str:
    """Columns and defaults. An event's id may have a default of the application's own: IDS looks."""
    made = [
        f"ALTER TABLE {table.name} ADD COLUMN IF NOT EXISTS {CreateColumn(column).compile(dialect=DIALECT)}"
        for column in table.columns
    ]
    made += [
        f"ALTER TABLE {table.name} ALTER COLUMN {column.name} SET DEFAULT {column.server_default.arg}"
        for column in table.columns
        if isinstance(column.server_default, DefaultClause) and column is not EVENTS.c.id
    ]
    return ";\n".join(made)
