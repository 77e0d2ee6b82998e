"""SQL of a trigger that writes an outbox event for every change of an existing table."""

import re
from collections.abc import Iterable

from psycopg.sql import SQL, Identifier, Literal

from outboxctl.core.produce import COLUMNS
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.errors import UsageError

NAME = re.compile(r"[^\x00]{1,63}")

# The trigger relies on the default of the id column: without one, on an outbox that was never upgraded, every
# write to the application's table would fail.
# The function has its own search path: the session's has no effect, nor have its temporary tables.
TEMPLATE = """\
DO {outer}
DECLARE
    searched text := pg_catalog.current_setting('search_path');
    watched regclass := {table};
    named text;
    function text;
    stranger name;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass({outbox}) AND attname = 'id'
                   AND atthasdef) THEN
        RAISE EXCEPTION 'the outbox is not ready: % is not there, or its ids have no default', {outbox}
            USING HINT = 'run: outboxctl db upgrade; an outbox in another schema: db trigger --schema NAME';
    END IF;
    -- Beside its table: two tables of one name, in two schemas, have a function each.
    SELECT CASE WHEN octet_length(relname) <= 56 THEN relname
            ELSE left(relname, 11) || '_' || left(md5(relname), 8) END || '_outbox',
        quote_ident(nspname) || '.'
    INTO named, function FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = watched;
    function := function || quote_ident(named) || '()';
    EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS %L', function, {tag}
    BEGIN
        -- A delete's version must be above the last upsert's, or a late upsert could win.
        IF TG_OP = 'DELETE' THEN
            INSERT INTO {events} ({columns})
            VALUES ({old_type}, OLD.{id}, 'delete', OLD.{version} + 1, 'pending', 0, 0, now(), now());
            RETURN OLD;
        END IF;
        -- A row that becomes another entity leaves one behind.
        IF TG_OP = 'UPDATE' AND ({old_type}, OLD.{id}) IS DISTINCT FROM ({new_type}, NEW.{id}) THEN
            INSERT INTO {events} ({columns})
            VALUES ({old_type}, OLD.{id}, 'delete', OLD.{version} + 1, 'pending', 0, 0, now(), now());
        END IF;
        INSERT INTO {events} ({columns})
        VALUES ({new_type}, NEW.{id}, 'upsert', NEW.{version}, 'pending', 0, 0, now(), now());
        RETURN NEW;
    END
    {tag});
    -- A function that was there keeps its owner, who may replace its body whenever he likes.
    SELECT rolname INTO stranger FROM pg_proc JOIN pg_roles r ON r.oid = proowner
    WHERE pg_proc.oid = to_regprocedure(function) AND rolname <> current_user AND NOT rolsuper
        AND proowner <> (SELECT relowner FROM pg_class WHERE oid = watched);
    IF FOUND THEN
        RAISE EXCEPTION 'the function % belongs to the role %', function, stranger
            USING HINT = 'if you trust that role: ALTER FUNCTION … OWNER TO …; otherwise drop the function';
    END IF;
    EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s
        FOR EACH ROW EXECUTE FUNCTION %s', named, watched, function);
    PERFORM set_config('search_path', searched, true);
END
{outer};
"""


def trigger_sql(
    table: str,
    *,
    id_column: str,
    version_column: str,
    entity_type: str = "",
    type_column: str = "",
    schema: str = "public",
) -> str:
    """The SQL to create the trigger on `table` (optionally with its schema); the outbox is in `schema`.

    Raises UsageError unless exactly one of `entity_type` (a constant) and `type_column` is set, or for a name
    that is not valid in PostgreSQL.
    """
    if bool(entity_type) == bool(type_column):
        raise UsageError("give exactly one of --entity-type and --type-column")
    parts = table.split(".")
    for name in (*parts, schema, id_column, version_column, *filter(None, [type_column])):
        if not NAME.fullmatch(name):
            raise UsageError(f"not a PostgreSQL name: {name[:80]!r}")
    kind = Literal(entity_type) if entity_type else Identifier(type_column)
    prefix = ("", "") if entity_type else ("OLD.", "NEW.")
    events = Identifier(schema, EVENTS)
    texts = (table, schema, id_column, version_column, entity_type, type_column)
    statement = SQL(TEMPLATE).format(
        outer=SQL(_tag("outbox", texts)),
        tag=SQL(_tag("trigger", texts)),
        table=Literal(Identifier(*parts).as_string()),
        events=events,
        outbox=Literal(events.as_string()),
        columns=SQL(COLUMNS),
        id=Identifier(id_column),
        version=Identifier(version_column),
        old_type=SQL(prefix[0]) + kind,
        new_type=SQL(prefix[1]) + kind,
    )
    return statement.as_string()


def _tag(word: str, texts: Iterable[str]) -> str:
    """A dollar quote that none of the texts contains."""
    while any(f"${word}$" in text for text in texts):
        word += "_"
    return f"${word}$"
