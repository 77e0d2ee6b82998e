"""Rows as the bytes that the server made of them, read by COPY."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from psycopg.abc import Buffer

HEADER = 19  # bytes before the first row of a binary COPY
FIELD = 6  # bytes before the value of a row's only column: the number of columns, and its length
UNREADABLE = b"unreadable"  # in place of the version, where the document is the reason

# A row's key as JSON, its version in digits (empty where it has none), its routing as JSON (empty where it
# has none) and its document (empty where it has none); in UTF-8, in a SQL_ASCII database in any bytes. The
# server sends them in four lines: JSON of the server has line ends only between its tokens, so the first
# three have none. No class: to make one of it would cost as much as to read it.
RawDocument = Sequence[bytes]
Page = list[RawDocument]
# A document's id, the version of its row, the document and its routing, as a comparison needs them.
RowState = tuple[bytes, int | None, bytes, bytes]
NOT_READ = -1  # the version of a row that cannot be read: no document has it


class SourcePage(NamedTuple):
    """Documents by id instead of key, those of `read` rows; `place` is the key of the last of these."""

    rows: Page
    place: str
    read: int


def pages_of(copy: Iterable[Buffer], *, size: int, most: int) -> Iterator[Page]:
    """The pages of a binary COPY, of at most `size` rows, with at most `most` bytes of documents or one row.

    A message is a row, the first one behind the header; the last has none. One loop, without a call: it runs
    for each row of the source.
    """
    page, room, skip = Page(), most, HEADER + FIELD
    for message in copy:
        if len(message) > skip:
            row = bytes(message[skip:]).split(b"\n", 3)
            skip, length = FIELD, len(row[3])
            if page and (length > room or len(page) == size):
                yield page
                page, room = [], most
            page.append(row)
            room -= length
        elif len(message) == HEADER:  # a server that sends it by itself
            skip = FIELD
    if page:
        yield page


def state_of(row: RawDocument) -> RowState:
    """A row that was copied."""
    id_, version, routing, document = row
    read = NOT_READ if version == UNREADABLE else int(version) if version else None
    return _bytes(id_), read, document, routing and _bytes(routing)


def length_of(pages: Iterable[Page]) -> int:
    """The bytes of the documents of some pages."""
    return sum(len(row[3]) for page in pages for row in page)


def as_json(text: str) -> bytes:
    """A text as the server writes it as JSON."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")


def from_json(text: bytes) -> str:
    """What a JSON text stands for."""
    return _bytes(text).decode("utf-8", "surrogateescape")


def _bytes(text: bytes) -> bytes:
    if b"\\" not in text:  # as most
        return text[1:-1]
    return str(json.loads(text.decode("utf-8", "surrogateescape"))).encode("utf-8", "surrogateescape")
