"""All rows of the source in key order, as the bytes that the server made of them.

They are read by COPY in chunks, each in a transaction of its own that ends before the next step is waited
for: a sink that is slow or away keeps no snapshot open, which would hold vacuum back.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection

from outboxctl.core.database import Database, driver
from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.documents.source_rows import FIRST, Key
from outboxctl.core.schema.names import DOCUMENT, SOURCE
from outboxctl.core.search_path import places

CHUNK_ROWS = 10_000
CHUNK_BYTES = 8_000_000  # of documents: about as many rows are asked for; twice as many are never kept
HEADER = 19  # bytes before the first row of a binary COPY
FIELD = 6  # bytes before the value of a row's only column: the number of columns, and its length
KEYS = {
    "entity_type": ("s.entity_type, s.entity_id", "CAST(%(type)s AS varchar), CAST(%(id)s AS uuid)"),
    "entity_id": ("s.entity_id, s.entity_type", "CAST(%(id)s AS uuid), CAST(%(type)s AS varchar)"),
}
# Three lines: the id as JSON, the version (empty for none), the document. JSON of the server has line ends
# only between its tokens, so the first two lines have none. A row without a key is no document: no event
# can refer to it.
SELECT = f"""SELECT concat(to_json(concat(s.entity_type, ':', s.entity_id)), E'\\n', s.event_version, E'\\n',
    {DOCUMENT})
FROM {SOURCE} s WHERE s.entity_type IS NOT NULL AND s.entity_id IS NOT NULL {{beyond}}
ORDER BY {{columns}} LIMIT %(rows)s"""
# Where an index has the order, nothing is sorted: a sort reads all that is left for each chunk.
IN_ORDER = f"""{PLAN}; SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off;
SET LOCAL enable_bitmapscan = off"""
SORTS = {"Sort", "Incremental Sort"}  # node types of a plan


class RawDocument(NamedTuple):
    """A row: its id as JSON, its version in digits (empty where it has none), its document.

    In UTF-8; in a SQL_ASCII database any bytes.
    """

    id: bytes
    version: bytes
    document: bytes


class _EnoughReadError(Exception):
    """Ends a COPY before its last row."""


def stream(database: Database, after: Key | None) -> Iterator[RawDocument]:
    """All rows behind the key `after`, in the order of the unique index; those of a chunk in one snapshot."""
    rows = 1_000  # until the size of documents is known
    while chunk := _chunk(database, after, rows):
        yield from chunk
        after = key_of(chunk[-1].id)
        average = sum(len(each.document) for each in chunk) // len(chunk)
        rows = max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(1, average)))


def pages(database: Database, after: Key | None, *, size: int, most: int) -> Iterator[list[RawDocument]]:
    """The same in lists of at most `size` rows, with at most `most` bytes of documents or one row."""
    page, total = list[RawDocument](), 0
    for each in stream(database, after):
        if page and (len(page) == size or total + len(each.document) > most):
            yield page
            page, total = [], 0
        page.append(each)
        total += len(each.document)
    if page:
        yield page


def key_of(id_: bytes) -> Key:
    """The key of a document's id: the type may hold a colon, a UUID has none."""
    kind, _, entity_id = json.loads(id_.decode("utf-8", "surrogateescape")).rpartition(":")
    return kind, entity_id


def sorts(connection: Connection) -> bool:
    """Whether each chunk sorts the whole source: there is no index on the key."""
    statement, values = _statement(connection, ("", "00000000-0000-0000-0000-000000000000"), 1)
    connection.exec_driver_sql(IN_ORDER)
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
    return any(node["Node Type"] in SORTS for node in _nodes(plan["Plan"]))


def _nodes(node: dict[str, object]) -> Iterator[dict[str, object]]:
    yield node
    for part in node.get("Plans", []):  # type: ignore[attr-defined]
        yield from _nodes(part)


def _chunk(database: Database, after: Key | None, rows: int) -> list[RawDocument]:
    """The next rows; fewer than `rows` where they are larger than was expected."""
    found = list[RawDocument]()
    # Leaving a COPY by an exception cancels it, and ends the transaction, in which nothing was written.
    with suppress(_EnoughReadError), database.begin() as connection:
        _read(connection, after, rows, found)
    return found


def _read(connection: Connection, after: Key | None, rows: int, found: list[RawDocument]) -> None:
    statement, values = _statement(connection, after, rows)
    connection.exec_driver_sql(IN_ORDER)
    query = places(connection).render(f"COPY ({statement}) TO STDOUT (FORMAT binary)")
    total = 0
    with driver(connection).cursor() as cursor, cursor.copy(query, values) as copy:
        for row in _rows(copy):
            found.append(row)
            total += len(row.document)
            if total > 2 * CHUNK_BYTES:
                raise _EnoughReadError


def _rows(copy: Iterator[bytes]) -> Iterator[RawDocument]:
    """The rows of a binary COPY: a message each, the first behind the header; the last one holds none."""
    skip = HEADER + FIELD
    for message in copy:
        if len(message) > skip:
            yield RawDocument(*bytes(message[skip:]).split(b"\n", 2))
            skip = FIELD


def _statement(connection: Connection, after: Key | None, rows: int) -> tuple[str, dict[str, object]]:
    columns, values = KEYS[connection.execute(FIRST).scalar_one()]
    beyond = f"AND ({columns}) > ({values})" if after else ""
    given: dict[str, object] = {"type": after[0], "id": after[1]} if after else {}
    return SELECT.format(columns=columns, beyond=beyond), given | {"rows": rows}
