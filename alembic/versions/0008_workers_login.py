"""A worker's row is its login's: no other login with the same role changes or deletes it.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"

TAKES = (("column", "outbox_workers.login"),)  # by the downgrade
# Nullable: of a row that was there before it is not known. Not row level security, for then a dump by a
# login that only reads fails ("query would be affected by row-level security policy", pg_dump's manual).
ADD = "ALTER TABLE outbox_workers ADD COLUMN IF NOT EXISTS login varchar(63)"
DROP = """
DROP TRIGGER IF EXISTS outbox_workers_own ON outbox_workers;
DROP FUNCTION IF EXISTS outbox_workers_own();
"""
# The table's owner, its members and superusers may write any row: they could drop the trigger. A row that
# has been silent for a day is anybody's to delete, as the next worker does. Dropped and made, not replaced:
# the owner of a function that was there would stay its owner.
FUNCTION = """
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
"""
TRIGGER = """
CREATE TRIGGER outbox_workers_own BEFORE INSERT OR UPDATE OR DELETE ON outbox_workers
    FOR EACH ROW EXECUTE FUNCTION outbox_workers_own();
"""


def upgrade() -> None:
    for statement in (ADD, DROP, FUNCTION, TRIGGER):
        op.execute(statement)


def downgrade() -> None:
    op.execute(DROP)
    op.execute("ALTER TABLE outbox_workers DROP COLUMN IF EXISTS login")
