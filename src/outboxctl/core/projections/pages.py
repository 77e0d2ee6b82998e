"""Rows of a root and of a view: how they are counted, cut into pages and found by key.

A document is one row of the root, if the view has it: so the pages are of the root, whose unique index has
the order of the pages, and the view is asked by key. Its plan is then that of the worker's reading.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Composed
from sqlalchemy import CursorResult

from outboxctl.core.projections import document_sql, documents, indexes, key_sql
from outboxctl.core.projections.catalog import RELATION, of
from outboxctl.core.projections.key_sql import identifier, qualified
from outboxctl.core.refused_reads import ReadRefusedError, reading_rows
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.transaction import undone
from outboxctl.domain.printable import is_storable
from outboxctl.domain.projection import KeyColumn, Projection, Relation, key_parts

SECONDS = 600.0  # for one statement: a page of a heavy view, all keys of a large table
EXACT = 100_000  # rows above which the statistics of the table are good enough for a progress bar
ROWS = text(f"SELECT c.reltuples::bigint FROM {RELATION}")
# A view and a foreign table have no pages.
LAST_PAGE = text(f"""
SELECT max(pg_relation_size(part) / current_setting('block_size')::bigint),
    bool_and(relkind IN ('r', 'p'))
FROM (SELECT c.oid AS part FROM {RELATION} UNION
    SELECT p.relid FROM {RELATION}, pg_partition_tree(c.oid::regclass) p) parts
JOIN pg_class ON pg_class.oid = part
""")
# Of a row without a key, as an outer join makes them, there is no document.
NUMBER = "SELECT count(*) FROM {view} r WHERE {keyed} AND {of_part}"
VALUES = "SELECT DISTINCT {value} FROM {view} r WHERE {keyed} LIMIT {most}"
UNREACHED = """SELECT {key} FROM {view} r
WHERE {keyed} AND {of_part} AND NOT EXISTS (SELECT FROM {root} t WHERE {same})"""
SEVERAL = "SELECT {key} FROM {view} r WHERE {keyed} {some} GROUP BY {own} HAVING count(*) > 1 LIMIT 1"
NO_ROW = "SELECT r.* FROM {view} r LIMIT 0"
SHORT = 2.0  # seconds for that, of all keys or, of a large root, of the first thousand
SOME = "AND ({own}) IN (SELECT {roots} FROM {root} t ORDER BY {roots} LIMIT 1000)"
# All of both are read: the plan that `prepare` asks for finds rows by their keys, and takes far longer.
AS_A_WHOLE = "SET LOCAL enable_seqscan = on"
# Only long keys have a hash as `_id`, and no index finds a key by it.
HASHED = """
SELECT hash, key FROM (
    SELECT 'sha256:' || encode(sha256(bytes), 'hex') AS hash, key
    FROM (SELECT key, convert_to(key, 'UTF8') AS bytes
        FROM (SELECT {key} AS key FROM {view} r WHERE {keyed}) k) b
    WHERE octet_length(bytes) > {longest}
) h WHERE hash = ANY (CAST(%(hashes)s AS text[]))
"""
# Of these types PostgreSQL writes one text for a value: any other text is no key, and need not be asked for.
FORMS = {
    "int2": r"-?(0|[1-9]\d{0,4})",
    "int4": r"-?(0|[1-9]\d{0,9})",
    "int8": r"-?(0|[1-9]\d{0,18})",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}


def estimate(connection: Connection, relation: Relation, seconds: float = SECONDS) -> int:
    """About how many rows a table has: by its statistics where it is large, counted where it is small."""
    rows = int(connection.execute(ROWS, of(relation)).scalar() or 0)
    if rows >= EXACT:
        return rows
    statement = SQL("SELECT count(*) FROM {}").format(qualified(relation))
    with undone(connection):
        documents.prepare(connection, seconds)
        return int(connection.exec_driver_sql(statement.as_string()).scalar_one())


def last_page(connection: Connection, relation: Relation) -> int | None:
    """How many pages a table has, of partitions the largest; None where rows cannot be read by pages."""
    last, ordered = connection.execute(LAST_PAGE, of(relation)).one()
    return int(last) if ordered else None


def ordered(
    connection: Connection, relation: Relation, key: Sequence[KeyColumn]
) -> Sequence[KeyColumn] | None:
    """The columns of a key in the order of a unique index; None where there is none."""
    columns = {column.name: column for column in key}
    keys = indexes.unique(connection, relation)
    names = (each.columns for each in keys if not each.partial and {*each.columns} == columns.keys())
    found = next(names, None)
    return None if found is None else [columns[name] for name in found]


def hashed(connection: Connection, projection: Projection, hashes: Sequence[str]) -> dict[str, str]:
    """The keys of rows in the view by those of these hashes (`sha256:…`) that they have: reads all its keys.

    Raises ReadRefusedError where one of them cannot be read.
    """
    longest = SQL(str(projection.longest_key))
    rows = _read(connection, projection, HASHED, {"hashes": list(hashes)}, whole=False, longest=longest)
    return dict(map(tuple, rows))


def number(connection: Connection, projection: Projection) -> int:
    """How many rows with a key the view has, counted."""
    return int(_read(connection, projection, NUMBER).scalar_one())


def values(connection: Connection, projection: Projection, most: int) -> list[str | None]:
    """What the rows of the view have in the column that chooses their index, each once, at most so many.

    Raises ReadRefusedError.
    """
    parts: dict[str, Any] = {"value": document_sql.value_of(projection.column, "r"), "most": SQL(str(most))}
    return list(_read(connection, projection, VALUES, **parts).scalars())


def unreached(connection: Connection, projection: Projection, *, size: int) -> Iterator[str]:
    """Keys of rows of the view that no row of the root has, of one snapshot, `size` fetched at once.

    No page of the root, and no event of it, leads to them. Raises ReadRefusedError.
    """
    names = (identifier(each.name) for each in projection.key)
    same = SQL(" AND ").join(SQL("t.{} = r.{}").format(name, name) for name in names)
    options, root = {"yield_per": size}, qualified(projection.root)
    rows = _read(connection, projection, UNREACHED, options=options, root=root, same=same)
    with reading_rows(connection):
        yield from rows.scalars()


def check_rights(connection: Connection, projection: Projection) -> None:
    """Raise ReadRefusedError where PostgreSQL refuses to read the view's columns; no row is read."""
    with undone(connection):
        _read(connection, projection, NO_ROW, whole=False, seconds=SHORT)


def several(connection: Connection, projection: Projection) -> str | None:
    """The key of which the view has more than one row; None where there is none, or none found in time."""
    own, roots = (
        SQL(", ").join(SQL(f"{alias}.{{}}").format(identifier(each.name)) for each in projection.key)
        for alias in "rt"
    )
    first = SQL(SOME).format(own=own, roots=roots, root=qualified(projection.root))
    for some in (SQL(""), first):
        try:
            with undone(connection):
                rows = _read(connection, projection, SEVERAL, seconds=SHORT, own=own, some=some)
                key: str | None = rows.scalar()
                return key
        except ReadRefusedError as error:
            if not error.late:
                break  # a row that cannot be read is for `verify` to list
    return None


def _read(
    connection: Connection,
    projection: Projection,
    template: str,
    values: Mapping[str, Any] = {},
    *,
    whole: bool = True,
    seconds: float = SECONDS,
    options: Mapping[str, Any] = {},
    **parts: Composable,
) -> CursorResult[Any]:
    """What a statement of the view's rows `r` returns: of all, or of those that an index finds."""
    documents.prepare_documents(connection, projection.document, seconds)
    if whole:
        connection.exec_driver_sql(AS_A_WHOLE)
    composed = SQL(template).format(
        key=row_key(projection.key),
        view=qualified(projection.document),
        keyed=keyed(projection.key),
        of_part=document_sql.of_part(projection, "r"),
        **parts,
    )
    with reading_rows(connection):
        return connection.exec_driver_sql(composed.as_string(), dict(values), execution_options=options)


def castable(connection: Connection, key: Sequence[KeyColumn], parts: Sequence[str]) -> None:
    """Raise ReadRefusedError where a part is none of its column's type."""
    casts = SQL(", ").join(value(place, column) for place, column in enumerate(key))
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
    return key != "" and is_storable(key) and all(_has_form(part, column) for part, column in pairs)


def _has_form(part: str, column: KeyColumn) -> bool:
    form = form_of(column)
    return form is None or re.fullmatch(form, part, re.ASCII) is not None


def form_of(column: KeyColumn) -> str | None:
    """The form of a column's only text for each value, where its type has one."""
    return FORMS.get(column.type.removeprefix("pg_catalog."))


def value(place: int, column: KeyColumn) -> Composed:
    """SQL for the parameter of a key's column; without a cast from text, which may be somebody's function."""
    given = SQL(f"CAST(%(k{place})s AS text)" if column.built_in else f"%(k{place})s")
    return SQL("CAST({} AS {})").format(given, key_sql.type_of(column))


def keyed(key: Sequence[KeyColumn], alias: str = "r") -> Composed:
    """SQL for whether a row has a key."""
    columns = (SQL(f"{alias}.{{}} IS NOT NULL").format(identifier(column.name)) for column in key)
    return SQL(" AND ").join(columns)


def row_key(key: Sequence[KeyColumn]) -> Composable:
    """SQL for the key's text of a row `r`."""
    return key_sql.key_text_sql([(SQL("r.{}").format(identifier(each.name)), each) for each in key])
