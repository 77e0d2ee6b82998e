"""SQL of a trigger that writes an outbox event for every change of search_index."""

import re

from psycopg.sql import SQL, Identifier, Literal

from outboxctl.core.produce import COLUMNS
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.errors import UsageError

NAME = re.compile(r"[^\x00$]{1,63}")  # it stands within dollar quotes

# The trigger relies on the default of the id column: without one, on an outbox that was never upgraded, every
# write to the application's table would fail.
# The function has its own search path: the session's has no effect, nor have its temporary tables.
TEMPLATE = """\
DO $outbox$
DECLARE
    searched text := pg_catalog.current_setting('search_path');
    watched regclass := 'search_index';
    function text;
    stranger name;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass({outbox}) AND attname = 'id'
                   AND atthasdef) THEN
        RAISE EXCEPTION 'the outbox is not ready: % is not there, or its ids have no default', {outbox}
            USING HINT = 'run: outboxctl db upgrade; an outbox in another schema: db trigger --schema NAME';
    END IF;
    -- Beside its table.
    SELECT quote_ident(nspname) || '.search_index_outbox()' INTO function
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = watched;
    EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS %L', function, $trigger$
    BEGIN
        -- A delete's version must be above the last upsert's, or a late upsert could win.
        IF TG_OP = 'DELETE' THEN
            INSERT INTO {events} ({columns})
            VALUES (OLD.entity_type, OLD.entity_id, 'delete', OLD.event_version + 1, 'pending', 0, 0,
                now(), now());
            RETURN OLD;
        END IF;
        -- A row that becomes another entity leaves one behind.
        IF TG_OP = 'UPDATE' AND (OLD.entity_type, OLD.entity_id)
            IS DISTINCT FROM (NEW.entity_type, NEW.entity_id) THEN
            INSERT INTO {events} ({columns})
            VALUES (OLD.entity_type, OLD.entity_id, 'delete', OLD.event_version + 1, 'pending', 0, 0,
                now(), now());
        END IF;
        INSERT INTO {events} ({columns})
        VALUES (NEW.entity_type, NEW.entity_id, 'upsert', NEW.event_version, 'pending', 0, 0, now(), now());
        RETURN NEW;
    END
    $trigger$);
    -- A function that was there keeps its owner, who may replace its body whenever he likes.
    SELECT rolname INTO stranger FROM pg_proc JOIN pg_roles r ON r.oid = proowner
    WHERE pg_proc.oid = to_regprocedure(function) AND rolname <> current_user AND NOT rolsuper
        AND proowner <> (SELECT relowner FROM pg_class WHERE oid = watched);
    IF FOUND THEN
        RAISE EXCEPTION 'the function % belongs to the role %', function, stranger
            USING HINT = 'if you trust that role: ALTER FUNCTION … OWNER TO …; otherwise drop the function';
    END IF;
    EXECUTE format('CREATE OR REPLACE TRIGGER search_index_outbox AFTER INSERT OR UPDATE OR DELETE ON %s
        FOR EACH ROW EXECUTE FUNCTION %s', watched, function);
    PERFORM set_config('search_path', searched, true);
END
$outbox$;
"""


def trigger_sql(schema: str = "public") -> str:
    """The SQL to create the trigger on search_index; the outbox is in `schema`.

    Raises UsageError for a name that is not valid in PostgreSQL.
    """
    if not NAME.fullmatch(schema):
        raise UsageError(f"--schema: not a name of a schema: {schema[:80]!r}")
    events = Identifier(schema, EVENTS)
    statement = SQL(TEMPLATE).format(events=events, outbox=Literal(events.as_string()), columns=SQL(COLUMNS))
    return statement.as_string()
