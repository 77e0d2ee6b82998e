"""All rows of the source in key order, as the bytes that the server made of them.

They are read by COPY in chunks, each in a transaction of its own that ends before the next step is waited
for: a sink that is slow or away keeps no snapshot open, which would hold vacuum back.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from psycopg.abc import Buffer

from outboxctl.core.database import Database, driver
from outboxctl.core.delivery.claim import PLAN
from outboxctl.core.documents import readable
from outboxctl.core.documents.source_rows import FIRST, Key, SourceEntity
from outboxctl.core.refused_reads import ReadRefusedError, reading_rows
from outboxctl.core.schema.names import DOCUMENT, SOURCE
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection

CHUNK_ROWS = 10_000
CHUNK_BYTES = 8_000_000  # of documents: about as many rows are asked for; twice as many are never kept
ROWS_BY_KEY = 100  # in one page, whose bytes are not bounded
HEADER = 19  # bytes before the first row of a binary COPY
FIELD = 6  # bytes before the value of a row's only column: the number of columns, and its length
KEYS = {
    "entity_type": ("s.entity_type, s.entity_id", "CAST(%(type)s AS varchar), CAST(%(id)s AS uuid)"),
    "entity_id": ("s.entity_id, s.entity_type", "CAST(%(id)s AS uuid), CAST(%(type)s AS varchar)"),
}
# Three lines: the id as JSON, the version (empty for none), the document. JSON of the server has line ends
# only between its tokens, so the first two lines have none. A row without a key is no document: no event
# can refer to it.
AFTER = f"""FROM {SOURCE} s WHERE s.entity_type IS NOT NULL AND s.entity_id IS NOT NULL {{beyond}}
ORDER BY {{columns}} LIMIT %(rows)s"""
SELECT = f"""SELECT concat(to_json(concat(s.entity_type, ':', s.entity_id)), E'\\n', s.event_version, E'\\n',
    {DOCUMENT})
{AFTER}"""
KEYS_ONLY = f"SELECT s.entity_type, s.entity_id::text {AFTER}"
UNREADABLE = b"unreadable"  # in place of the version, where the document is the reason
# Where an index has the order, nothing is sorted: a sort reads all that is left for each chunk.
IN_ORDER = f"""{PLAN}; SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off;
SET LOCAL enable_bitmapscan = off"""
SORTS = {"Sort", "Incremental Sort"}  # node types of a plan


# A row's id as JSON, its version in digits (empty where it has none), and its document; in UTF-8, in a
# SQL_ASCII database in any bytes. No class: to make one of it would cost as much as to read it.
RawDocument = Sequence[bytes]
Page = list[RawDocument]


class _EnoughReadError(Exception):
    """Ends a COPY before its last row."""


def pages(database: Database, after: Key | None, *, size: int, most: int) -> Iterator[Page]:
    """All rows behind the key `after`, in the order of the unique index; those of a chunk in one snapshot.

    In lists of at most `size` rows, with at most `most` bytes of documents or one row.
    """
    rows = size  # until the size of documents is known
    while chunk := _chunk(database, after, rows, size=size, most=most):
        yield from chunk
        after = key_of(chunk[-1][-1][0])
        rows = _rows_after(chunk, size)


def _rows_after(chunk: list[Page], size: int) -> int:
    """How many rows to ask for, by those before; whole pages if there are several."""
    lengths = [len(document) for page in chunk for _, _, document in page]
    rows = max(1, min(CHUNK_ROWS, CHUNK_BYTES * len(lengths) // max(1, sum(lengths))))
    return rows - rows % size if rows > size else rows


def key_of(id_: bytes) -> Key:
    """The key of a document's id: the type may hold a colon, a UUID has none."""
    kind, _, entity_id = json.loads(id_.decode("utf-8", "surrogateescape")).rpartition(":")
    return kind, entity_id


def sorts(connection: Connection) -> bool:
    """Whether each chunk sorts the whole source: there is no index on the key."""
    statement, values = _statement(connection, SELECT, ("", "00000000-0000-0000-0000-000000000000"), 1)
    connection.exec_driver_sql(IN_ORDER)
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
    return any(node["Node Type"] in SORTS for node in _nodes(plan["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for part in node.get("Plans", []):
        yield from _nodes(part)


def _chunk(database: Database, after: Key | None, rows: int, *, size: int, most: int) -> list[Page]:
    """The pages of the next rows; of fewer than `rows` where they are larger than was expected."""
    found = list[Page]()
    try:
        # Leaving a COPY by an exception cancels it, and ends the transaction, in which nothing was written.
        with suppress(_EnoughReadError), database.begin() as connection:
            _read(connection, after, rows, found, size=size, most=most)
    except ReadRefusedError:
        return found or _by_key(database, after)  # what came before the error is in order
    return found


def _by_key(database: Database, after: Key | None) -> list[Page]:
    """The next rows, some of which cannot be read: these are UNREADABLE, and have the reason."""
    with database.begin() as connection:
        statement, values = _statement(connection, KEYS_ONLY, after, ROWS_BY_KEY)
        connection.exec_driver_sql(IN_ORDER)
        keys = [(kind, id_, None) for kind, id_ in connection.exec_driver_sql(statement, values)]
    page = Page()
    for some, found in readable.named(database, keys):
        if isinstance(found, str):
            page.append([_json_id(*some[0][:2]), UNREADABLE, found.encode(errors="replace")])
        else:
            page += [_raw(entity) for entity in found if entity.document is not None]
    if keys and not page:  # all were deleted meanwhile
        return _by_key(database, keys[-1][:2])
    return [page] if page else []


def _raw(entity: SourceEntity) -> RawDocument:
    version = "" if entity.version is None else str(entity.version)
    document = (entity.document or "").encode("utf-8", "surrogateescape")
    return [_json_id(entity.entity_type, entity.entity_id), version.encode(), document]


def _json_id(entity_type: str, entity_id: str) -> bytes:
    return json.dumps(f"{entity_type}:{entity_id}", ensure_ascii=False).encode("utf-8", "surrogateescape")


def _read(
    connection: Connection, after: Key | None, rows: int, found: list[Page], *, size: int, most: int
) -> None:
    statement, values = _statement(connection, SELECT, after, rows)
    connection.exec_driver_sql(IN_ORDER)
    query = f"COPY ({statement}) TO STDOUT (FORMAT binary)"
    with (
        reading_rows(connection),
        driver(connection).cursor() as cursor,
        cursor.copy(query, values) as copy,
    ):
        _collect(copy, found, size=size, most=most)


def _collect(copy: Iterable[Buffer], found: list[Page], *, size: int, most: int) -> None:
    """Append the pages of a binary COPY: a message a row, the first one behind the header; the last has none.

    One loop, without a call: it runs for each row of the source. Raises _EnoughReadError.
    """
    page, room, total, skip = Page(), 0, 0, HEADER + FIELD
    for message in copy:
        if len(message) > skip:
            row = bytes(message[skip:]).split(b"\n", 2)
            skip, length = FIELD, len(row[2])
            if length > room or len(page) == size:
                found.append(page := [])
                room = most
            page.append(row)
            room, total = room - length, total + length
            if total > 2 * CHUNK_BYTES:
                raise _EnoughReadError
        elif len(message) == HEADER:  # a server that sends it by itself
            skip = FIELD


def _statement(
    connection: Connection, select: str, after: Key | None, rows: int
) -> tuple[str, dict[str, object]]:
    columns, values = KEYS[connection.execute(FIRST).scalar_one()]
    beyond = f"AND ({columns}) > ({values})" if after else ""
    given: dict[str, object] = {"type": after[0], "id": after[1]} if after else {}
    statement = places(connection).render(select.format(columns=columns, beyond=beyond))
    return statement, given | {"rows": rows}
