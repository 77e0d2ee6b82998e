"""SQL of a trigger that writes an outbox event for every change of an existing table."""

import re

from psycopg.sql import SQL, Identifier, Literal

from outboxctl.core.produce import COLUMNS
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.errors import UsageError

NAME = re.compile(r"[^\x00]{1,63}")

# Ids are the column's default. Without one every write to the application's table would fail: so the
# trigger is not made on an outbox that no upgrade has seen.
TEMPLATE = """\
DO $outbox$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass({outbox}) AND attname = 'id'
                   AND atthasdef) THEN
        RAISE EXCEPTION 'the outbox is not ready: it is not there, or its ids have no default'
            USING HINT = 'run: outboxctl db upgrade';
    END IF;
END
$outbox$;
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $outbox$
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
$outbox$;
CREATE OR REPLACE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION {function}();
"""


def trigger_sql(
    table: str, *, id_column: str, version_column: str, entity_type: str = "", type_column: str = ""
) -> str:
    """The SQL to create the trigger on `table` (optionally `schema.table`).

    Exactly one of `entity_type` (a constant) and `type_column` is given; raises UsageError otherwise,
    or for a name that PostgreSQL cannot have.
    """
    if bool(entity_type) == bool(type_column):
        raise UsageError("give exactly one of --entity-type and --type-column")
    parts = table.split(".")
    for name in (*parts, id_column, version_column, *filter(None, [type_column])):
        if not NAME.fullmatch(name):
            raise UsageError(f"not a PostgreSQL name: {name[:80]!r}")
    name = f"{parts[-1][:50]}_outbox"
    kind = Literal(entity_type) if entity_type else Identifier(type_column)
    prefix = ("", "") if entity_type else ("OLD.", "NEW.")
    statement = SQL(TEMPLATE).format(
        function=Identifier(name),
        trigger=Identifier(name),
        table=Identifier(*parts),
        events=Identifier(EVENTS),
        outbox=Literal(EVENTS),
        columns=SQL(COLUMNS),
        id=Identifier(id_column),
        version=Identifier(version_column),
        old_type=SQL(prefix[0]) + kind,
        new_type=SQL(prefix[1]) + kind,
    )
    return statement.as_string()
