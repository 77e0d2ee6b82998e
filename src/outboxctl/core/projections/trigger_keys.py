"""The text of a key, or of a followed row's parameters, as the function of a trigger makes it.

Of the columns' types only the output functions are used, which none but a superuser can make, no cast and no
operator: the function runs with the rights of its owner, and a cast can be a function of the type's owner.
"""

import json
from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from outboxctl.core.projections.follow_pages import NAME
from outboxctl.core.projections.trigger_names import Watched
from outboxctl.domain.projection import KeyColumn

# Bytes as they are stored. No index of a root holds a larger key, however well it is compressed, and the text
# of a smaller one fits into an event.
LARGEST = 1_000_000
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


def settings(users: Sequence[Watched]) -> dict[str, str]:
    """The function's own settings, as SQL."""
    if any(not {*each.types} <= PLAIN or len(each.types) < len(each.parameters) for each in users):
        return {**PATH, **ISO, **OTHERS}
    dates = (column.type == "pg_catalog.date" for each in users for column in each.key)
    return {**PATH, **ISO} if any(dates) else PATH


def arrays(watched: Watched, rows: tuple[str, str]) -> list[dict[str, Composable]]:
    """The arrays of an event for many rows: of the keys, or of each parameter (`follow_pages.FollowEvent`).

    Each with the text `before` it, its elements of the `old` and the `new` row, and the `end` of the event.
    Empty where keys may be long, or need escapes in JSON.
    """
    types = [each.type for each in watched.key] if watched.key else watched.types
    if not types or len(types) < len(watched.parameters) or not {*types} <= SHORT_TYPES:
        return []
    if watched.key:
        elements = [SQL("""'"' || {} || '"'""").format(_key(watched, row)) for row in rows]
        return [{"before": Literal("["), "old": elements[0], "new": elements[1], "end": Literal("]")}]
    return [_array(watched, place, rows) for place in range(len(types))]


def _array(watched: Watched, place: int, rows: tuple[str, str]) -> dict[str, Composable]:
    name = watched.parameters[place]
    before = "], " if place else f"{{{_quoted(NAME)}: {_quoted(watched.name)}, " if watched.name else "{"
    element = """CASE WHEN {} IS NOT NULL THEN '"' || {} || '"' ELSE 'null' END"""
    columns = [_column(row, name) for row in rows]
    old, new = (SQL(element).format(column, _text(column)) for column in columns)
    return {"before": Literal(f"{before}{_quoted(name)}: ["), "old": old, "new": new, "end": Literal("]}")}


def sides(watched: Watched, rows: tuple[str, str]) -> dict[str, Composable]:
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
        size = _size([_column(row, each) for each in watched.parameters])
        whole = """CASE WHEN {} > {} THEN '' ELSE {} END COLLATE "C\""""
        return SQL(whole).format(size, Literal(LARGEST), _json(watched, row))
    parts = [_key_column(_column(row, each.name), each) for each in watched.key]
    if len(parts) == 1:
        return parts[0]
    return SQL(" || ':' || ").join(
        SQL("replace(replace({}, '%', '%25'), ':', '%3A')").format(part) for part in parts
    )


def _json(watched: Watched, row: str) -> Composable:
    """As `jsonb_build_object(…)::text`, at half the time: names that are shorter come first."""
    known = {NAME: Literal(_quoted(watched.name))} if watched.name else {}
    values = known | {name: _json_value(_column(row, name)) for name in watched.parameters}
    names = sorted(values, key=lambda name: (len(name.encode()), name.encode()))
    pairs = (SQL("{} || {}").format(Literal(f"{_quoted(name)}: "), values[name]) for name in names)
    return SQL("'{{' || {} || '}}'").format(SQL(" || ', ' || ").join(pairs))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _json_value(column: Composable) -> Composable:
    quoted = "CASE WHEN {} IS NOT NULL THEN to_json({})::text ELSE 'null' END"
    return SQL(quoted).format(column, _text(column))


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
