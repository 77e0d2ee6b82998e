"""A trigger that keeps workers of an older version from claiming events of projections.

They would fail each of them: such an event has no version. `apply` makes the trigger with the first
projection, so nobody else pays for it: each claimed row is read and locked once more before it is updated.
A claim that knows projections sets `outboxctl.projections` (claim.PROJECTIONS_ALLOWED).
"""

from sqlalchemy import Connection

from outboxctl.core.schema.names import EVENTS

NAME = "outbox_projection_claims"  # of the trigger and its function
# The row of another claim is left as it is, and is not among those that the claim returns.
CREATE = f"""
DROP TRIGGER IF EXISTS {NAME} ON {EVENTS};
DROP FUNCTION IF EXISTS {NAME}();
CREATE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $outbox$
BEGIN
    RETURN CASE WHEN current_setting('outboxctl.projections', true) = 'on' THEN NEW END;
END
$outbox$;
CREATE TRIGGER {NAME} BEFORE UPDATE OF status ON {EVENTS} FOR EACH ROW
WHEN (OLD.status = 'pending' AND NEW.status = 'processing' AND NEW.entity_key IS NOT NULL)
EXECUTE FUNCTION {NAME}();
"""
DROP = f"DROP TRIGGER IF EXISTS {NAME} ON {EVENTS}; DROP FUNCTION IF EXISTS {NAME}()"
THERE = f"SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = '{EVENTS}'::regclass AND tgname = '{NAME}')"


def create(connection: Connection) -> None:
    """Make the trigger unless it is there. Needs the table's owner; waits for a lock that blocks writers."""
    if not connection.exec_driver_sql(THERE).scalar():
        connection.exec_driver_sql(CREATE)
