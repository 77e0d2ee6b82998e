"""The function of a table's triggers: one INSERT of the events of all projections that use the table.

It runs within the application's writes, with the rights of its owner. So nothing that somebody does to the
table later makes it fail, or run code of his; and a column that is renamed or gone makes an event of all
documents, of the projections that use it.

What a projection has of the text is a part of it. The columns of a part are put in where the function is
made (`trigger_columns`); part 0 has those of all projections. A statement of many rows writes one event for
MOST of them: an event a row would be most of what the triggers cost. A worker writes an event a document
from it (`follow.write_documents`), or runs the query of keys for all of its rows at once.
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
from outboxctl.core.projections.trigger_columns import fields
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


def settings(users: Sequence[Watched]) -> dict[str, str]:
    """The function's own settings, as SQL."""
    types = [each.of.types for each in users if each.of.parameters]
    if not {*chain(*types)} <= PLAIN or any(not each for each in types):
        return {**PATH, **ISO, **OTHERS}
    dates = (column.type == "pg_catalog.date" for each in users for column in each.key)
    return {**PATH, **ISO} if any(dates) else PATH


@lru_cache(1_024)  # for a plan, what is compared with it, and its SQL
def template(table: WatchedTable, schema: str, *, rows: bool) -> str:
    """The function's text for `trigger_columns.FILLED`, which puts in what depends on the table's columns."""
    return _template().render(
        table=fields(0),
        parts=[{**fields(part), **_part(part, each)} for part, each in enumerate(table.users, 1)],
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
