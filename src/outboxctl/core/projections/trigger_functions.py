"""The functions of a projection's triggers: one INSERT of events for what a statement changed.

They run within the application's writes, with the rights of their owner. So nothing that somebody does to
the table later makes them fail, or run code of his: of the columns' types only the output functions are used,
which none but a superuser can make, no cast and no operator; and a column that is renamed or gone makes an
event of all documents.
"""

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from outboxctl.core.produce import COLUMNS
from outboxctl.core.projections import event_ids, trigger_columns
from outboxctl.core.projections.follow_pages import NAME
from outboxctl.core.projections.trigger_names import NEW, OLD, Watched
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
# Bytes as they are stored. No index of a root holds a larger key, however well it is compressed, and the text
# of a smaller one fits into an event.
LARGEST = 1_000_000
LONG_TYPES = {f"pg_catalog.{name}" for name in ("text", "varchar", "bpchar", "numeric")}
PATH = {"search_path": "pg_catalog, pg_temp"}
# What the text of a value depends on, as in `documents`: the same in every session. Each costs a microsecond
# a statement, so only where it can make a difference.
ISO = {"DateStyle": "'ISO, MDY'"}
EXACT = {"extra_float_digits": "'1'"}  # different numbers have different texts
OTHERS = {"TimeZone": "'UTC'", "IntervalStyle": "'iso_8601'", "bytea_output": "'hex'"}
# A column that is not there any more, or is another one of that name: nobody knows which documents the change
# reaches. An INSERT or a DELETE needs the key alone.
BODY = """
DECLARE
    gone boolean := true;{declared}
BEGIN{count}
    IF TG_OP = 'UPDATE' THEN
{look_at_all}
    ELSIF TG_OP <> 'TRUNCATE' THEN
{look_at_key}
    END IF;
    IF gone THEN
        INSERT INTO {events} ({columns})
        VALUES ('', {all}, 'infinity', {projection}, md5({all_prefix})::uuid, 'upsert', NULL, 'pending', 0, 0,
            now(), now());
        RETURN NULL;
    END IF;
{statements}
    RETURN NULL;
END
"""
# The start of a query costs as much as the rest of a statement of one row. So that has plans of its own, and
# one of no row (of the two triggers of ON CONFLICT DO UPDATE one has none) ends here.
COUNT = f"""
    IF TG_OP = 'INSERT' THEN
        SELECT count(*) INTO number FROM (SELECT FROM {NEW} LIMIT 2) r;
    ELSIF TG_OP <> 'TRUNCATE' THEN
        SELECT count(*) INTO number FROM (SELECT FROM {OLD} LIMIT 2) r;
    END IF;
    IF number = 0 THEN
        RETURN NULL;
    END IF;"""
# Columns have their numbers in the table that was declared. Where all are as before, that is seen without a
# query. TG_RELID as a subquery: so PostgreSQL keeps a plan, whichever the table. With the value in sight it
# may make a new one for each statement. A table that was restored from a dump has another oid, and numbers of
# its own.
LOOK = """\
        gone := NOT coalesce({as_before}, false);
        IF gone THEN
            SELECT count(*) < {number} INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ({names})
                AND (attrelid <> {oid} OR (attname, attnum) IN ({pairs}));
        END IF;"""
# A partition has numbers of its own as well. To look at the declared table's for each row would be a third of
# the trigger's cost, so only where a column was added since (NULL: there is none of this number). Names that
# two columns have exchanged are found by `plan` alone.
LOOK_FOR_ROW = """\
        SELECT count(*) < {number} INTO gone
        FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ({names});
        IF has_column_privilege({oid}::oid, {next}::int2, 'SELECT') IS NOT NULL THEN
            gone := gone OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = {oid} AND attname IN ({names})
                AND (attname, attnum) NOT IN ({pairs}));
        END IF;"""
# Where every column counts: whether there are others than those that were there when the function was made.
LOOK_AT_ROW = """
        SELECT count(*) <> {number} INTO more FROM pg_attribute
        WHERE attrelid = (SELECT TG_RELID) AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v';"""
# A default of each row's own would be a third of the trigger's cost.
DECLARED = """
    number int;
    key_before text;
    key_now text;
    differs boolean;
    moment bigint;
    id_time text;
    id_number bigint;"""
MORE = """
    more boolean;"""
WRITE_ROWS = """\
        INSERT INTO {events} (id, {columns})
        SELECT (id_time || to_hex(id_number + {place}))::uuid,
            entity_key, {follow}, {projection}, md5({identified})::uuid, 'upsert', NULL,
            'pending', 0, 0, now(), now()
        FROM ({changes}) c;"""
PLACE = "row_number() OVER ()"
# One row, where the triggers are those of rows.
WRITE_ROW = """\
        INSERT INTO {events} ({columns})
        SELECT entity_key, {follow}, {projection}, md5({identified})::uuid, 'upsert', NULL,
            'pending', 0, 0, now(), now()
        FROM ({changes}) c;"""
ONE_SIDE = "SELECT {distinct}{{{side}_key}} AS entity_key FROM {table} {alias} WHERE {{{side}_known}}"
# The keys of one row before and after its change. The start of a query looks up each function in it, whether
# it comes to that or not: so what large values need is a query of its own. A BEFORE trigger can keep a row
# from the partition that it moves to: then there is none after.
PAIR = """\
    IF TG_OP = 'UPDATE' AND number = 1 THEN
        SELECT o.key, n.key, {differ_unless_large} INTO key_before, key_now, differs
        FROM (SELECT CASE WHEN {old_known} THEN {old_key} END, {old_columns} FROM old_rows o)
            o (key, {aliases})
        CROSS JOIN (SELECT CASE WHEN {new_known} THEN {new_key} END, {new_columns} FROM new_rows n)
            n (key, {aliases})
        LIMIT 1;
        IF NOT FOUND THEN
            number := 2;
        ELSE
            IF key_before = key_now THEN
                key_before := NULL;
                IF differs IS NULL THEN
                    SELECT {differ} INTO differs
                    FROM (SELECT {old_columns} FROM old_rows o) o ({aliases})
                    CROSS JOIN (SELECT {new_columns} FROM new_rows n) n ({aliases})
                    LIMIT 1;
                END IF;
                IF NOT differs THEN
                    RETURN NULL;
                END IF;
            END IF;
            IF key_before IS NULL AND key_now IS NULL THEN
                RETURN NULL;
            END IF;
        END IF;
    END IF;
"""
# Two values, and no condition on a variable: for its value PostgreSQL would plan each statement anew.
KEYS = """
            SELECT * FROM (VALUES (key_now, 0), (key_before, 1)) v (entity_key, place)
            WHERE entity_key IS NOT NULL"""
# A key is one row of the root, whichever it was before: so two keys that were swapped are compared rightly.
# Columns go through the join as they are stored: a large value that no pair of rows needs is not read.
BY_KEY = """
            SELECT coalesce(o.key, n.key) AS entity_key
            FROM (SELECT {old_key}, {old_columns} FROM old_rows o) o (key, {aliases})
            FULL JOIN (SELECT {new_key}, {new_columns} FROM new_rows n) n (key, {aliases}) ON o.key = n.key
            WHERE o.key IS NULL OR n.key IS NULL OR {differ}"""
# Documents depend on the set of a followed table's rows, with their duplicates, as far as the used columns
# go: what is on both sides as often has not changed, whichever row it was before. A row's text, for images of
# rows have no hash.
AS_SETS = """
            SELECT DISTINCT entity_key FROM (
                SELECT entity_key, {used} AS used, side FROM (
                    SELECT {old_key}, {old_columns}, 1 FROM old_rows o WHERE {old_known}
                    UNION ALL SELECT {new_key}, {new_columns}, -1 FROM new_rows n WHERE {new_known}
                ) r (entity_key, {aliases}, side)
            ) r GROUP BY entity_key, used HAVING sum(side) <> 0"""
# OLD has only NULLs for an INSERT, NEW for a DELETE.
ROW = """
            SELECT {old_key} AS entity_key WHERE TG_OP <> 'INSERT' AND {old_known}
            UNION ALL SELECT {new_key} WHERE TG_OP <> 'DELETE' AND {new_known}
                AND (TG_OP = 'INSERT' OR NOT {old_known} OR {old_key} <> {new_key})"""
CHANGED = "(TG_OP <> 'UPDATE' OR {differ})"  # PL/pgSQL looks for the next THEN outside of parentheses


def settings(watched: Watched) -> dict[str, str]:
    """The function's own settings, as SQL."""
    if not watched.key:
        return {**PATH, **ISO, **EXACT, **OTHERS}
    if watched.place is not None:
        return {**PATH, **ISO, **EXACT}  # for the texts of rows; with ISO a time says its zone
    return {**PATH, **ISO} if any(each.type == "pg_catalog.date" for each in watched.key) else PATH


def template(projection: str, watched: Watched, schema: str, *, rows: bool) -> str:
    """The function's text for `trigger_columns.FILLED`, which puts in what depends on the table's columns."""
    text = BODY.replace("{statements}", _of_row() if rows else _of_statement(watched))
    text = text.replace("{count}", "" if rows else COUNT)
    text = text.replace("{look_at_all}", _look(watched, rows=rows, whole=True))
    text = text.replace("{look_at_key}", _look(watched, rows=rows, whole=rows))
    parts = _parts(projection, watched, schema, rows=rows)
    escaped = {name: part.as_string().replace("%", "%%") for name, part in parts.items()}
    return text.format(**escaped, **trigger_columns.FIELDS)


def _parts(projection: str, watched: Watched, schema: str, *, rows: bool) -> dict[str, Composable]:
    whole = MORE if not watched.columns else ""
    return {
        "declared": SQL(whole if rows else whole + DECLARED),
        "events": Identifier(schema, EVENTS),
        "columns": SQL(", ").join(map(SQL, INSERTED)),
        "all": SQL(str(EVERYTHING)),
        "projection": Literal(projection),
        "all_prefix": Literal(f"{projection}/{EVERYTHING}:"),
        **_written(projection, watched),
        **_sides(watched, ("OLD", "NEW") if rows else ("o", "n")),
    }


def _written(projection: str, watched: Watched) -> dict[str, Composable]:
    """What an event has as `follow`, and what its entity_id is made of. No lane claims one with `follow`.

    A changed row whose parameters are too large for an event stands for all documents.
    """
    if watched.follow is None:
        text = SQL("{} || entity_key").format(Literal(f"{projection}:"))
        return {"follow": SQL("NULL, NULL"), "identified": text}
    everything = {"all": SQL(str(EVERYTHING)), "prefix": Literal(f"{projection}/{EVERYTHING}:")}
    follow = "CASE entity_key WHEN '' THEN {all} ELSE {place} END, 'infinity'::timestamptz"
    identified = "CASE entity_key WHEN '' THEN {prefix} ELSE {own} || entity_key END"
    own = Literal(f"{projection}/{watched.follow}:")
    return {
        "follow": SQL(follow).format(place=SQL(str(watched.follow)), **everything),
        "identified": SQL(identified).format(own=own, **everything),
    }


def _look(watched: Watched, *, rows: bool, whole: bool) -> str:
    """Whether any of the columns is gone."""
    which = {name: f"{{{name if whole else f'key_{name}'}}}" for name in ("number", "pairs", "names")}
    look = LOOK_FOR_ROW if rows else LOOK
    for name, text in (which | {"as_before": "{as_before}" if whole else "{key_as_before}"}).items():
        look = look.replace(f"{{{name}}}", text)
    return look + (LOOK_AT_ROW if whole and not watched.columns else "")


def _of_statement(watched: Watched) -> str:
    is_root = watched.place is None
    branches = {"number = 1 AND TG_OP = 'UPDATE'": (KEYS, "place")}
    for event, side, table, alias in (("INSERT", "new", NEW, "n"), ("DELETE", "old", OLD, "o")):
        one = ONE_SIDE.format(distinct="", side=side, table=table, alias=alias)
        all_ = ONE_SIDE.format(distinct="" if is_root else "DISTINCT ", side=side, table=table, alias=alias)
        branches |= {f"number = 1 AND TG_OP = '{event}'": (one, "0"), f"TG_OP = '{event}'": (all_, PLACE)}
    branches["TG_OP = 'UPDATE'"] = (BY_KEY if is_root else AS_SETS, PLACE)
    written = (
        f"IF {condition} THEN\n{WRITE_ROWS.replace('{changes}', sql).replace('{place}', place)}"
        for condition, (sql, place) in branches.items()
    )
    return "\n    ".join([f"{PAIR}{event_ids.DRAW}", "\n    ELS".join(written), "END IF;"])


def _of_row() -> str:
    return f"    IF {CHANGED} THEN\n{WRITE_ROW.replace('{changes}', ROW)}\n    END IF;"


def _sides(watched: Watched, rows: tuple[str, str]) -> dict[str, Composable]:
    """The key, and the condition of a key that a document can have, of the old and of the new row."""
    parts: dict[str, Composable] = {}
    for side, row in zip(("old", "new"), rows, strict=True):
        parts[f"{side}_key"] = _key(watched, row)
        parts[f"{side}_known"] = _known(watched, row)
    return parts


def _known(watched: Watched, row: str) -> Composable:
    """A row whose reference is NULL belongs to no document, nor one whose reference no index can hold."""
    if not watched.key:
        return SQL("true")
    there = SQL(" AND ").join(SQL("{} IS NOT NULL").format(_column(row, each.name)) for each in watched.key)
    texts = [_column(row, each.name) for each in watched.key if each.type in LONG_TYPES]
    if watched.place is None or not texts:
        return SQL("({})").format(there)
    return SQL("({} AND {} <= {})").format(there, _size(texts), Literal(LARGEST))


def _size(columns: Sequence[Composable]) -> Composable:
    """The bytes that values have in the row or beside it, without reading them."""
    sizes = (SQL("coalesce(pg_column_size({}), 0)").format(each) for each in columns)
    return SQL("0::int8 + {}").format(SQL(" + ").join(sizes))


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
        size = _size([_column(row, each) for each in watched.parameters])
        whole = """CASE WHEN {} > {} THEN '' ELSE jsonb_build_object({}{})::text END COLLATE "C\""""
        return SQL(whole).format(size, Literal(LARGEST), name, pairs)
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
