"""The keys of a projection in pages, and which of given keys have a document.

A document is one row of the root, if the view has it: so the pages are of the root, whose unique index has
the order of the pages, and the view is asked by key. Its plan is then that of the worker's reading.
"""

import re
from collections.abc import Iterator, Sequence

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from outboxctl.core.projections import indexes
from outboxctl.core.projections.documents import (
    Documents,
    arrays,
    identifier,
    key_text_sql,
    looked_up,
    prepare,
    qualified,
    type_of,
    usable,
)
from outboxctl.core.refused_reads import reading_of, reading_rows
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import MAX_ID_BYTES, KeyColumn, Projection, key_parts

SECONDS = 600.0  # for one statement: a page of a heavy view, all keys of a large table
EXACT = 100_000  # rows above which the statistics of the table are good enough for a progress bar
ROWS = text("""
SELECT c.reltuples::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = :name
""")
PAGE = "SELECT {key} FROM {root} r WHERE {there} {beyond} ORDER BY {columns} LIMIT %(size)s"
BEYOND = "AND ({columns}) > ({values})"
# A lateral query with a limit keeps the planner from reading the whole view for a join.
PRESENT = """
SELECT k.place FROM unnest({arrays}) WITH ORDINALITY k ({names}, place)
JOIN LATERAL (SELECT FROM {view} v WHERE {matches} LIMIT {most}) d ON true
"""
UNREACHED = """
SELECT {key} FROM {view} r WHERE {keyed} AND NOT EXISTS (SELECT FROM {root} t WHERE {same})
    AND NOT row_security_active(CAST({name} AS regclass))
"""
# Rows of the root that are hidden from this role are not missing: `doctor` finds that.
# All of both are read: the plan that `prepare` asks for finds rows by their keys, and takes far longer.
AS_A_WHOLE = "SET LOCAL enable_seqscan = on"
# Only long keys have a hash as `_id`, and no index finds a key by it.
HASHED = """
SELECT id FROM (
    SELECT 'sha256:' || encode(sha256(key), 'hex') AS id
    FROM (SELECT convert_to({key}, 'UTF8') AS key FROM {view} r WHERE {there}) k
    WHERE octet_length(key) > {longest}
) h WHERE id = ANY (CAST(%(ids)s AS text[]))
"""
# Of these types PostgreSQL writes one text for a value: any other text is no key, and need not be asked for.
FORMS = {
    "int2": r"-?(0|[1-9]\d{0,4})",
    "int4": r"-?(0|[1-9]\d{0,9})",
    "int8": r"-?(0|[1-9]\d{0,18})",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}


def estimate(connection: Connection, projection: Projection) -> int:
    """About how many rows the root has: by its statistics where it is large, counted where it is small.

    Raises InconclusiveError for a root that cannot be read.
    """
    root = {"schema": projection.root.schema, "name": projection.root.name}
    rows = int(connection.execute(ROWS, root).scalar() or 0)
    if rows >= EXACT:
        return rows
    statement = SQL("SELECT count(*) FROM {}").format(qualified(projection.root))
    with reading_of(projection.root), reading_rows(connection):
        return int(connection.exec_driver_sql(statement.as_string()).scalar_one())


def page(connection: Connection, projection: Projection, after: str | None, size: int) -> list[str]:
    """The next `size` keys of the root after the key `after`, in the order of its unique index.

    Raises ValueError where `after` has another number of parts, InconclusiveError for a root that cannot be
    read.
    """
    columns = _in_order(connection, projection)
    prepare(connection, SECONDS)
    values: dict[str, object] = {"size": size}
    if after is not None:
        values |= {f"k{n}": part for n, part in enumerate(key_parts(after, len(projection.key)))}
    statement = _page(projection, columns, beyond=after is not None)
    with reading_of(projection.root), reading_rows(connection):
        return [*connection.exec_driver_sql(statement, values).scalars()]


def present(connection: Connection, projection: Projection, keys: Sequence[str]) -> set[str]:
    """Those of these keys that have a row in the view. Raises ReadRefusedError as `documents.read`."""
    return {keys[place - 1] for place in _places(connection, projection, keys, most=1)}


def presence(connection: Connection, projection: Projection, keys: Sequence[str]) -> Documents:
    """An empty object for each key that has a row in the view, without a version; raises as `present`."""
    places = _places(connection, projection, keys, most=2)
    every, there = range(1, len(keys) + 1), {*places}
    texts = ["{}" if place in there else None for place in every]
    with_lacking = sorted([*places, *({*every} - there)])
    return usable(projection, keys, with_lacking, Documents(None, texts))


def _places(
    connection: Connection, projection: Projection, keys: Sequence[str], *, most: int
) -> Sequence[int]:
    """The place of each key from 1, as often as it has rows in the view, at most so often."""
    prepare(connection, SECONDS)
    values = arrays([key_parts(key, len(projection.key)) for key in keys], projection)
    statement = SQL(PRESENT).format(**looked_up(projection), most=SQL(str(most))).as_string()
    with reading_rows(connection):
        return [int(place) for place in connection.exec_driver_sql(statement, values).scalars()]


def present_hashes(connection: Connection, projection: Projection, ids: Sequence[str]) -> set[str]:
    """Those of these ids (`sha256:…`) that are of a row in the view: reads all its keys.

    Raises ReadRefusedError where one of them cannot be read.
    """
    if not ids:
        return set()
    prepare(connection, SECONDS)
    composed = SQL(HASHED).format(
        key=row_key(projection),
        view=qualified(projection.document),
        there=keyed(projection),
        longest=SQL(str(MAX_ID_BYTES)),
    )
    with reading_rows(connection):
        return {*connection.exec_driver_sql(composed.as_string(), {"ids": list(ids)}).scalars()}


def unreached(connection: Connection, projection: Projection, *, size: int) -> Iterator[str]:
    """Keys of rows of the view that no row of the root has, of one snapshot, `size` fetched at once.

    No page of the root, and no event of it, leads to them. Raises ReadRefusedError.
    """
    prepare(connection, SECONDS)
    connection.exec_driver_sql(AS_A_WHOLE)
    composed = _unreached(projection)
    with reading_rows(connection):
        options = {"yield_per": size}
        yield from connection.exec_driver_sql(composed.as_string(), execution_options=options).scalars()


def _unreached(projection: Projection) -> Composed:
    root = Identifier(projection.root.schema, projection.root.name)
    names = [identifier(column.name) for column in projection.key]
    return SQL(UNREACHED).format(
        key=row_key(projection),
        view=qualified(projection.document),
        keyed=keyed(projection),
        root=qualified(projection.root),
        name=SQL(Literal(root.as_string()).as_string().replace("%", "%%")),
        same=SQL(" AND ").join(SQL("t.{0} = r.{0}").format(name) for name in names),
    )


def castable(connection: Connection, projection: Projection, key: str) -> None:
    """Raise ReadRefusedError where a part of the key is none of its column's type."""
    parts = key_parts(key, len(projection.key))
    casts = SQL(", ").join(_value(place, column) for place, column in enumerate(projection.key))
    values = {f"k{place}": part for place, part in enumerate(parts)}
    with reading_rows(connection):
        connection.exec_driver_sql(SQL("SELECT {}").format(casts).as_string(), values)


def plausible(projection: Projection, key: str) -> bool:
    """Whether the text can be a key of the projection, as far as that is known without PostgreSQL."""
    try:
        parts = key_parts(key, len(projection.key))
    except ValueError:
        return False
    pairs = zip(parts, projection.key, strict=True)
    return key != "" and "\x00" not in key and all(_has_form(part, column) for part, column in pairs)


def _has_form(part: str, column: KeyColumn) -> bool:
    form = FORMS.get(column.type.removeprefix("pg_catalog."))
    return form is None or re.fullmatch(form, part, re.ASCII) is not None


def _in_order(connection: Connection, projection: Projection) -> list[KeyColumn]:
    """The columns of the key in the order of its index: a page in another one would sort the whole table."""
    columns = {column.name: column for column in projection.key}
    keys = indexes.unique(connection, projection.root) if len(columns) > 1 else []
    names = (each.columns for each in keys if not each.partial and {*each.columns} == columns.keys())
    return [columns[name] for name in next(names, columns)]


def _page(projection: Projection, columns: Sequence[KeyColumn], *, beyond: bool) -> str:
    names = SQL(", ").join(SQL("r.{}").format(identifier(column.name)) for column in columns)
    places = [projection.key.index(column) for column in columns]
    values = SQL(", ").join(map(_value, places, columns))
    composed = SQL(PAGE).format(
        key=row_key(projection),
        root=qualified(projection.root),
        there=keyed(projection),
        beyond=SQL(BEYOND).format(columns=names, values=values) if beyond else SQL(""),
        columns=names,
    )
    return composed.as_string()


def _value(place: int, column: KeyColumn) -> Composed:
    return SQL("CAST({} AS {})").format(SQL(f"CAST(%(k{place})s AS text)"), type_of(column))


def keyed(projection: Projection) -> Composed:
    """A row without a key, as an outer join makes them, is no document."""
    columns = (SQL("r.{} IS NOT NULL").format(identifier(column.name)) for column in projection.key)
    return SQL(" AND ").join(columns)


def row_key(projection: Projection) -> Composable:
    """SQL for the key's text of a row `r`."""
    return key_text_sql([(SQL("r.{}").format(identifier(each.name)), each) for each in projection.key])
