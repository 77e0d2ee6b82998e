"""The audit says who was logged in, and an event begins as new whoever may only insert it.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"

TAKES = (
    ("setting", "outbox_operator_audit: time and login are the database's"),
    ("setting", "search_outbox_events: an event begins as pending"),
)
# Two steps: with its default at once, every old row would say that whoever migrates was logged in.
# Nullable: a release before this one writes its rows without naming the column.
LOGIN = """
ALTER TABLE outbox_operator_audit ADD COLUMN IF NOT EXISTS logged_in_as text;
ALTER TABLE outbox_operator_audit ALTER COLUMN logged_in_as SET DEFAULT session_user;
"""
# Both functions leave alone whoever may UPDATE the column: he could write the same a moment later. So
# the owner restores a dump as it was. Dropped before they are made, for OR REPLACE leaves a stranger the
# owner of a function that he made first.
AUDITED = """
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
BEGINS = f"""
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
FOR EACH ROW EXECUTE FUNCTION outbox_event_begins();
"""
# The column stays, with what it holds: who was logged in is nobody's to take away.
DROP = """
DROP TRIGGER IF EXISTS {trigger} ON {table};
DROP FUNCTION IF EXISTS {trigger}();
"""


def upgrade() -> None:
    op.execute(LOGIN)
    downgrade()
    op.execute(AUDITED)
    op.execute(BEGINS)


def downgrade() -> None:
    op.execute(DROP.format(trigger="outbox_audit_by_database", table="outbox_operator_audit"))
    op.execute(DROP.format(trigger="outbox_event_begins", table="search_outbox_events"))
