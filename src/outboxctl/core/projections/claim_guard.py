"""A trigger that keeps workers of an older version from claiming events of projections.

They would fail each of them: such an event has no version. `apply` makes the trigger with the first
projection, so nobody else pays for it: each claimed row is read and locked once more before it is updated.
A claim that supports projections sets `outboxctl.projections` (claim.PROJECTIONS_ALLOWED).
"""

NAME = "outbox_projection_claims"  # of the trigger and its function
# A row that an older worker claims stays as it is, and is not among those that its claim returns. Made once:
# the lock of CREATE TRIGGER keeps writers waiting.
CREATE = """
DO $guard$
DECLARE
    owner name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = {table}::regclass);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {table}::regclass AND tgname = {name}) THEN
        IF NOT pg_has_role(owner, 'MEMBER') THEN
            RAISE insufficient_privilege USING MESSAGE = format(
                'the first projection has to be applied by %I, the owner of the outbox', owner);
        END IF;
        CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $outbox$
        BEGIN
            RETURN CASE WHEN current_setting('outboxctl.projections', true) = 'on' THEN NEW END;
        END
        $outbox$;
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', {function_name}, owner);
        CREATE TRIGGER {trigger} BEFORE UPDATE OF status ON {events} FOR EACH ROW
        WHEN (OLD.status = 'pending' AND NEW.status = 'processing' AND NEW.entity_key IS NOT NULL)
        EXECUTE FUNCTION {function}();
    END IF;
END
$guard$;
"""
