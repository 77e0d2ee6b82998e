"""The function of a table's triggers: one INSERT of the events of all projections that use the table.

It runs within the application's writes, with the rights of its owner. So nothing that somebody does to the
table later makes it fail, or run code of his; and a column that is renamed or gone makes an event of all
documents, of the projections that use it.

What a projection has of the text is a part of it. The columns of a part are put in where the function is
made (`FILLED`); part 0 has those of all projections. A statement of many rows writes one event for
MOST of them: an event a row would be most of what the triggers cost. A worker sends the documents of
it together, or runs the query of keys for all of its rows at once.
"""

import json
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.sql import Identifier, Literal

from outboxctl.core.produce import COLUMNS
from outboxctl.core.projections.follow_pages import NAME
from outboxctl.core.projections.trigger_names import Watched, WatchedTable
from outboxctl.core.schema.names import EVENTS
from outboxctl.domain.projection import DOCUMENTS, EVERYTHING

if TYPE_CHECKING:
    from jinja2 import Template

# As many rows or more: fewer have events of their own, which lanes take at once.
BULK, MOST = 20, 500
INSERTED = ("entity_key", "follow", "next_retry_at", *COLUMNS.split(", "))
# Of the owner of a function `p` on the `outbox`. A trigger there lets only those who may UPDATE the status
# insert an event that waits for something.
RIGHTS = f"""(SELECT bool_and(has_column_privilege(p.proowner, outbox, c, 'INSERT'))
            FROM unnest(ARRAY['{"', '".join(("id", *INSERTED))}']) c)
        AND has_column_privilege(p.proowner, outbox, 'status', 'UPDATE')
        AND has_column_privilege(p.proowner, outbox, 'created_at', 'UPDATE')"""
# Whether the function `p` is one of these, by the first line of its body, and the projections whose events it
# writes. By no regular expression: of a body of 19 kB that takes five times as long.
WRITES_EVENTS = (
    "p.prorettype = 'trigger'::regtype AND starts_with(left(p.prosrc, 20), E'\\n-- projections: ')"
)
WRITES_FOR = "string_to_array(split_part(split_part(p.prosrc, E'\\n', 2), ': ', 2), ', ')"
# Bytes as they are stored. No document has a larger key. The text of a smaller one, however well it is
# compressed (lz4: 255 times) and if JSON writes six bytes for each of its own, is far from PostgreSQL's 1 GB.
LARGEST = 100_000
SHORT_TYPES = {f"pg_catalog.{name}" for name in ("int2", "int4", "int8", "uuid", "bool")}
LONG_TYPES = {f"pg_catalog.{name}" for name in ("text", "varchar", "bpchar", "numeric")}
# No setting changes their texts.
PLAIN = LONG_TYPES | SHORT_TYPES
PATH = {"search_path": "pg_catalog, pg_temp"}
# What the text of a value depends on, as in `documents`: the same in every session. Each costs a microsecond
# a statement, so only where it can make a difference.
ISO = {"DateStyle": "'ISO, MDY'"}
OTHERS = {
    "extra_float_digits": "'1'",  # different numbers have different texts
    "TimeZone": "'UTC'",
    "IntervalStyle": "'iso_8601'",
    "bytea_output": "'hex'",
}

# The fields of a part of the text, which has some of the columns, in the order of FILLED's array. The server
# on which the function is created puts them in, so a printed script is right on any. Virtual generated
# columns are left out: no trigger can read them. In pairs of rows a column is called by its number: `c.o3`.
# `as_declared`: the columns have the names that they had then. Asking for them one by one takes half the time
# of a query of pg_attribute, 10 to 25 us in each statement of one row.
FIELDS = (
    *("oid", "next", "number", "pairs", "names", "key_number", "key_pairs", "key_names"),
    *("as_declared", "key_as_declared", "old_columns", "new_columns", "paired", "old_named", "new_named"),
    *("differ", "key_differs"),
)
# Stored bytes of a value: a longer one that was written counts as changed without being read. PostgreSQL
# compresses a value at most 255 times (lz4), so what is read stays far below its limit of 1 GB.
MAX_COMPARED_BYTES = 1_000_000
# For each row of {functions}: `function`, `watched`, `level`, `settings`, and the function's text with its
# fields. Each row of {parts} has the function's name, the number of the part, names of columns and of keys.
# `differs`: whether the images of a column's values differ. No operator of its type is called, and none is
# needed. `toasted`: the value may be stored outside of the row. From PostgreSQL 17 on it has a number there,
# by which a value that was not written is recognised without being read. The sizes are compared as well,
# since each partition numbers its values by itself.
FILLED = f"""
SELECT w.function, w.watched, w.level, w.settings, format(w.body, VARIADIC (
    SELECT array_agg(f.value ORDER BY s.part, f.place)
    FROM (VALUES {{parts}}) s (function, part, names, keys), LATERAL (
        SELECT ARRAY[w.watched::oid::text,
            (SELECT (relnatts + 1)::text FROM pg_class WHERE oid = w.watched),
            count(*)::text, string_agg(pair, ', '), string_agg(quote_literal(name), ', '),
            (count(*) FILTER (WHERE is_key))::text,
            coalesce(string_agg(pair, ', ') FILTER (WHERE is_key), '('''', 0)'),
            coalesce(string_agg(quote_literal(name), ', ') FILTER (WHERE is_key), ''''''),
            string_agg(as_declared, ' AND '),
            coalesce(string_agg(as_declared, ' AND ') FILTER (WHERE is_key), 'true'),
            string_agg(format('o.%I AS o%s', name, attnum), ', '),
            string_agg(format('n.%I AS n%s', name, attnum), ', '),
            string_agg(format('o.%1$I AS o%2$s, n.%1$I AS n%2$s', name, attnum), ', '),
            string_agg(format('c.o%s AS %I', attnum, name), ', '),
            string_agg(format('c.n%s AS %I', attnum, name), ', '),
            concat_ws(' OR ', CASE s.names WHEN '{{{{}}}}' THEN 'outboxctl.more' END,
                'ROW(' || string_agg(old, ', ') FILTER (WHERE NOT toasted) || ')::record *<> ROW('
                    || string_agg(new, ', ') FILTER (WHERE NOT toasted) || ')::record',
                string_agg(differs, ' OR ') FILTER (WHERE toasted)),
            coalesce(string_agg(differs, ' OR ') FILTER (WHERE is_key), 'false')] AS fields
        FROM (SELECT *, format(CASE WHEN toasted THEN concat('CASE ',
                    CASE WHEN current_setting('server_version_num')::int >= 170000 THEN
                        'WHEN pg_column_toast_chunk_id(%1$s) = pg_column_toast_chunk_id(%2$s)'
                        ' AND pg_column_size(%1$s) = pg_column_size(%2$s) THEN false ' END,
                    'WHEN greatest(pg_column_size(%1$s), pg_column_size(%2$s)) > {MAX_COMPARED_BYTES}'
                    ' THEN true ELSE ROW(%1$s)::record *<> ROW(%2$s)::record END')
                ELSE 'ROW(%1$s)::record *<> ROW(%2$s)::record' END, old, new) AS differs
            FROM (SELECT attname::text AS name, attnum, attname = ANY (s.keys) AS is_key,
                    format('(%L, %s)', attname, attnum) AS pair,
                    format('(pg_identify_object_as_address(1259, TG_RELID, %s)).object_names[3] = %L',
                        attnum, attname) AS as_declared,
                    attlen = -1 AND attstorage <> 'p' AS toasted,
                    format(CASE w.level WHEN 'ROW' THEN 'OLD.%1$I' ELSE 'c.o%2$s' END, attname, attnum)
                        AS old,
                    format(CASE w.level WHEN 'ROW' THEN 'NEW.%1$I' ELSE 'c.n%2$s' END, attname, attnum)
                        AS new
                FROM pg_attribute WHERE attrelid = w.watched AND attnum > 0 AND NOT attisdropped
                    AND attgenerated <> 'v' AND (s.names = '{{{{}}}}' OR attname = ANY (s.names))
                ORDER BY attnum) a) b
    ) c, unnest(c.fields) WITH ORDINALITY f (value, place)
    WHERE s.function = w.function)) AS body
FROM (VALUES {{functions}}) w (function, watched, level, settings, body)"""


def settings(users: Sequence[Watched]) -> dict[str, str]:
    """The function's own settings, as SQL."""
    types = [each.of.types for each in users if each.of.parameters]
    if not {*chain(*types)} <= PLAIN or any(not each for each in types):
        return {**PATH, **ISO, **OTHERS}
    dates = (column.type == "pg_catalog.date" for each in users for column in each.key)
    return {**PATH, **ISO} if any(dates) else PATH


@lru_cache(1_024)  # for a plan, what is compared with it, and its SQL
def template(table: WatchedTable, schema: str, *, rows: bool) -> str:
    """The function's text for FILLED, which puts in what depends on the table's columns."""
    return _template().render(
        table=_fields(0),
        parts=[{**_fields(part), **_part(part, each)} for part, each in enumerate(table.users, 1)],
        rows={"old": "OLD", "new": "NEW"} if rows else {"old": "o", "new": "n"},
        projections=", ".join(table.projections),
        by_row=rows,
        whole=not table.names,
        events=_escaped(Identifier(schema, EVENTS).as_string()),
        inserted=", ".join(INSERTED),
        everything=EVERYTHING,
        at_least=BULK,
        most=MOST,
        largest=LARGEST,
    )


def _part(number: int, user: Watched) -> dict[str, Any]:
    """What the template needs of a part; `arrays`: how many an event for many rows has, by their places.

    None where keys may be long, or need escapes in JSON. `long`: columns of a follower's key that may be.
    """
    types = [each.type for each in user.key] if user.key else user.of.types
    short = types and len(types) >= len(user.of.parameters) and {*types} <= SHORT_TYPES
    by_length = sorted(user.of.parameters, key=lambda name: (len(name.encode()), name.encode()))
    return {
        "n": number,
        "user": user,
        "in_bulk": DOCUMENTS if user.follow is None else user.follow,
        "arrays": range((1 if user.key else len(types)) if short else 0),
        "json_names": [*([NAME] if user.of.name else ()), *by_length],
        "long": [each.name for each in user.key if user.place is not None and each.type in LONG_TYPES],
    }


def _fields(part: int) -> dict[str, str]:
    """What stands in a function's text for each field of a part."""
    return {name: f"%{part * len(FIELDS) + place}$s" for place, name in enumerate(FIELDS, 1)}


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - where triggers are made or compared

    made = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)  # noqa: S701 - SQL
    made.filters["ident"] = lambda name: _escaped(Identifier(name).as_string())
    made.filters["lit"] = lambda value: _escaped(Literal(value).as_string())
    made.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    path = Path(__file__).with_name("trigger_function.sql.jinja")
    return made.from_string(path.read_text(encoding="utf-8"))


def _escaped(sql: str) -> str:
    """A text for the `format` of PostgreSQL."""
    return sql.replace("%", "%%")
