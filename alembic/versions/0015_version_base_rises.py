"""A worker raises the base of versions, within bounds: its login may be stolen.

Below what it was documents stay out of date; near the end of bigint no event is delivered any more.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

from outboxctl.core.projections.version_base import AT_ONCE, STEP

revision = "0015"
down_revision = "0014"

# The owner of the table, its members and superusers may write any base: they could drop the trigger.
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
    op.execute(RISES)
