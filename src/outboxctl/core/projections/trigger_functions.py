"""The functions of a projection's triggers: one INSERT of events for what a statement changed.

They run within the application's writes, with the rights of their owner. So nothing that somebody does to
the table later makes them fail, or run code of his: of the columns' types only the output functions are used,
which none but a superuser can make, no cast and no operator; and a column that is renamed or gone makes an
event of all documents.
"""

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from outboxctl.core.produce import COLUMNS
from outboxctl.core.projections import event_ids
from outboxctl.core.projections.follow_pages import NAME
from outboxctl.core.projections.trigger_names import NEW, OLD, Watched, function_name
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.projection import EVERYTHING, KeyColumn

INSERTED = ("entity_key", "follow", "next_retry_at", *COLUMNS.split(", "))
ID = "id"
# Of the owner of a function `p` on the `outbox`. Migration 0007 lets only those who may UPDATE the status
# insert an event that waits for something.
RIGHTS = f"""(SELECT bool_and(has_column_privilege(p.proowner, outbox, c, 'INSERT'))
            FROM unnest(ARRAY['{"', '".join((ID, *INSERTED))}']) c)
        AND has_column_privilege(p.proowner, outbox, 'status', 'UPDATE')
        AND has_column_privilege(p.proowner, outbox, 'created_at', 'UPDATE')"""
PATH = {"search_path": "pg_catalog, pg_temp"}
# What the text of a value depends on, as in `documents`: the same in every session. Each costs a microsecond
# a statement, so only where it can make a difference.
ISO = {"DateStyle": "'ISO, MDY'"}
EXACT = {"extra_float_digits": "'1'"}  # different numbers have different texts
OTHERS = {"TimeZone": "'UTC'", "IntervalStyle": "'iso_8601'", "bytea_output": "'hex'"}
FUNCTION = """\
    CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    {settings}
    AS {tag}{body}{tag};
    REVOKE ALL ON FUNCTION {function}() FROM PUBLIC;
"""
# A column that is not there any more: nobody knows which documents the change reaches. An INSERT or a DELETE
# needs the key alone.
BODY = """
DECLARE
    gone boolean := true;{declared}
BEGIN
    IF TG_OP = 'UPDATE' THEN
{look_at_all}
    ELSIF TG_OP <> 'TRUNCATE' THEN
{look_at_key}
    END IF;
    IF gone THEN
        INSERT INTO {events} ({columns})
        VALUES ('', {all}, 'infinity', {projection}, md5({all_prefix})::uuid, 'upsert', NULL, 'pending', 0, 0,
            now(), now());
{statements}
    END IF;
    RETURN NULL;
END
"""
# TG_RELID as a subquery: so PostgreSQL keeps a plan, whichever the table. With the value in sight it may make
# a new one for each statement.
LOOK = """\
        SELECT count(*) < {number}{drawn} INTO gone{into}
        FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ({names});"""
# A default of each row's own would be a third of the trigger's cost.
DECLARED = """
    id_time text;
    id_number bigint;"""
DRAWN = f""",
            {event_ids.TIME_HALF},
            {event_ids.NUMBER_HALF}
       """
INTO = ", id_time, id_number"
WRITE_ROWS = """\
        INSERT INTO {events} (id, {columns})
        SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid,
            entity_key, {follow}, {projection}, md5({prefix} || entity_key)::uuid, 'upsert', NULL,
            'pending', 0, 0, now(), now()
        FROM ({changes}) c;"""
# One row, where the triggers are those of rows.
WRITE_ROW = """\
        INSERT INTO {events} ({columns})
        SELECT entity_key, {follow}, {projection}, md5({prefix} || entity_key)::uuid, 'upsert', NULL,
            'pending', 0, 0, now(), now()
        FROM ({changes}) c;"""
ONE_SIDE = "SELECT {distinct}{{{side}_key}} AS entity_key FROM {table} {alias} WHERE {{{side}_known}}"
# A key is one row of the root, whichever it was before: so two keys that were swapped are compared rightly.
BY_KEY = """
            SELECT coalesce(before.key, after.key) AS entity_key
            FROM (SELECT {old_key} AS key, ROW({old_used})::record AS used FROM old_rows o) before
            FULL JOIN (SELECT {new_key} AS key, ROW({new_used})::record AS used FROM new_rows n) after
                ON before.key = after.key
            WHERE before.key IS NULL OR after.key IS NULL OR before.used *<> after.used"""
# Documents depend on the set of a followed table's rows, with their duplicates, as far as the used columns
# go: what is on both sides as often has not changed, whichever row it was before. A row's text, for images of
# rows have no hash.
AS_SETS = """
            SELECT DISTINCT entity_key FROM (
                SELECT {old_key} AS entity_key, concat(ROW({old_used})) COLLATE "C" AS used, 1 AS side
                FROM old_rows o WHERE {old_known}
                UNION ALL SELECT {new_key}, concat(ROW({new_used})) COLLATE "C", -1
                FROM new_rows n WHERE {new_known}
            ) r GROUP BY entity_key, used HAVING sum(side) <> 0"""
# OLD has only NULLs for an INSERT, NEW for a DELETE.
ROW = """
            SELECT {old_key} AS entity_key WHERE TG_OP <> 'INSERT' AND {old_known}
            UNION SELECT {new_key} WHERE TG_OP <> 'DELETE' AND {new_known}"""
SAME = "TG_OP <> 'UPDATE' OR ROW({old_row})::record *<> ROW({new_row})::record"


def function_sql(projection: str, watched: Watched, schema: str, *, rows: bool) -> str:
    """The statements that make the function of one watched table, for each row where `rows`."""
    text = body(projection, watched, schema, rows=rows)
    return (
        SQL(FUNCTION)
        .format(
            function=Identifier(schema, function_name(projection, watched.place)),
            settings=SQL(" ").join(SQL(f"SET {name} = {value}") for name, value in settings(watched).items()),
            tag=SQL(tag("trigger", text)),
            body=SQL(text),
        )
        .as_string()
    )


def settings(watched: Watched) -> dict[str, str]:
    """The function's own settings, as SQL."""
    if not watched.key:
        return {**PATH, **ISO, **EXACT, **OTHERS}
    if watched.place is not None:
        return {**PATH, **ISO, **EXACT}  # for the texts of rows; with ISO a time says its zone
    return {**PATH, **ISO} if any(each.type == "pg_catalog.date" for each in watched.key) else PATH


def body(projection: str, watched: Watched, schema: str, *, rows: bool) -> str:
    """The function's text, as `pg_proc.prosrc` has it."""
    statements = _of_row() if rows else _of_statement(watched)
    # What an event's entity_id is made of, before its key.
    prefix = f"{projection}:" if watched.follow is None else f"{projection}/{watched.follow}:"
    return (
        SQL(BODY.replace("{statements}", statements))
        .format(
            declared=SQL("" if rows else DECLARED),
            look_at_all=_look(watched.names, drawn=not rows),
            look_at_key=_look(watched.names if rows else watched.key_names, drawn=not rows),
            events=Identifier(schema, EVENTS),
            columns=SQL(", ").join(map(SQL, INSERTED)),
            all=SQL(str(EVERYTHING)),
            # No lane claims an event with `follow`: see core/projections/follow.py.
            follow=SQL(
                "NULL, NULL" if watched.follow is None else f"{watched.follow}, 'infinity'::timestamptz"
            ),
            projection=Literal(projection),
            prefix=Literal(prefix),
            all_prefix=Literal(f"{projection}/{EVERYTHING}:"),
            **_sides(watched, ("OLD", "NEW") if rows else ("o", "n")),
        )
        .as_string()
    )


def _look(names: Sequence[str], *, drawn: bool) -> Composable:
    """Whether any of the columns is gone, and with `drawn` what the ids of the events begin with."""
    more = {"drawn": SQL(DRAWN if drawn else ""), "into": SQL(INTO if drawn else "")}
    return SQL(LOOK).format(
        number=Literal(len(names)), names=SQL(", ").join(map(Literal, names or [""])), **more
    )


def _of_statement(watched: Watched) -> str:
    is_root = watched.place is None
    distinct = "" if is_root else "DISTINCT "
    changes = {
        "INSERT": ONE_SIDE.format(distinct=distinct, side="new", table=NEW, alias="n"),
        "DELETE": ONE_SIDE.format(distinct=distinct, side="old", table=OLD, alias="o"),
        "UPDATE": BY_KEY if is_root else AS_SETS,
    }
    branches = [
        f"    ELSIF TG_OP = '{event}' THEN\n{WRITE_ROWS.replace('{changes}', sql)}"
        for event, sql in changes.items()
    ]
    return "\n".join(branches)


def _of_row() -> str:
    return f"    ELSIF {SAME} THEN\n{WRITE_ROW.replace('{changes}', ROW)}"


def _sides(watched: Watched, rows: tuple[str, str]) -> dict[str, Composable]:
    """The key, the used columns and the condition of a key without NULL, of the old and of the new row."""
    parts: dict[str, Composable] = {}
    for side, row in zip(("old", "new"), rows, strict=True):
        parts[f"{side}_key"] = _key(watched, row)
        parts[f"{side}_used"] = _used(watched, row)
        parts[f"{side}_row"] = _used(watched, row, with_key=True)
        parts[f"{side}_known"] = _known(watched, row)
    return parts


def _used(watched: Watched, row: str, *, with_key: bool = False) -> Composable:
    if not watched.columns:
        return SQL(f"{row}.*")
    return SQL(", ").join(_column(row, name) for name in (watched.names if with_key else watched.columns))


def _known(watched: Watched, row: str) -> Composable:
    """A row whose reference is NULL belongs to no document."""
    columns = SQL(", ").join(_column(row, each.name) for each in watched.key)
    return SQL("num_nulls({}) = 0").format(columns) if watched.key else SQL("true")


def _key(watched: Watched, row: str) -> Composable:
    """The text of a document's key (`domain.projection.key_text`), or of an object of the parameters.

    Empty where each change reaches every document, as in the event of a sweep.
    """
    if watched.all:
        return SQL("''::text")
    if not watched.key:
        pairs = SQL(", ").join(
            SQL("{}, CASE WHEN {} IS NOT NULL THEN {} END").format(
                Literal(name), _column(row, name), _text(_column(row, name))
            )
            for name in watched.parameters
        )
        name = SQL("{}, {}, ").format(Literal(NAME), Literal(watched.name)) if watched.name else SQL("")
        return SQL('jsonb_build_object({}{})::text COLLATE "C"').format(name, pairs)
    parts = [_key_column(_column(row, each.name), each) for each in watched.key]
    if len(parts) == 1:
        return parts[0]
    return SQL(" || ':' || ").join(
        SQL("replace(replace({}, '%', '%25'), ':', '%3A')").format(part) for part in parts
    )


def _key_column(column: Composable, key: KeyColumn) -> Composable:
    """As `documents.key_column_text`, without a cast: a number without zeros at the end of its fraction."""
    text = _text(column)
    if key.type == "pg_catalog.numeric":
        shorter = "CASE WHEN strpos({0}, '.') > 0 THEN rtrim(rtrim({0}, '0'), '.') ELSE {0} END"
        return SQL(shorter).format(text)
    return SQL("rtrim({}, ' ')").format(text) if key.type == "pg_catalog.bpchar" else text


def _text(column: Composable) -> Composable:
    """A value by its output function: a cast can be a function of whoever owns its type."""
    return SQL('concat({}) COLLATE "C"').format(column)


def _column(row: str, name: str) -> Composable:
    return SQL("{}.{}").format(SQL(row), Identifier(name))


def tag(word: str, text: str) -> str:
    """A dollar quote that the text does not contain."""
    while f"${word}$" in text:
        word += "_"
    return f"${word}$"
