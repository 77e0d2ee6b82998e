"""Rows of a source: as the bytes that the server made of them, read by COPY, and as they are read by key."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg.abc import Buffer

HEADER = 19  # bytes before the first row of a binary COPY
FIELD = 6  # bytes before the value of a row's only column: the number of columns, and its length
BYTES = 4_000_000  # of documents that are read by key at once (UTF-8)
UNREADABLE = b"unreadable"  # in place of the version, where the document is the reason

# A row's key as JSON, its version in digits (empty where it has none), its routing as JSON (empty where it
# has none) and its document (empty where it has none); in UTF-8. The server sends them in four lines: JSON of
# the server has line ends only between its tokens, so the first three have none. No class: to make one of it
# would cost as much as to read it.
RawDocument = Sequence[bytes]
Page = list[RawDocument]
# A document's id, the version of its row, the document and its routing, as a comparison needs them.
RowState = tuple[bytes, int | None, bytes, bytes]
NOT_READ = -1  # the version of a row that cannot be read: no document has it


class PageRange(NamedTuple):
    """The pages of a table, or of each of its partitions, from `first` to before `end` (None: all)."""

    first: int
    end: int | None


class SourceRow(NamedTuple):
    """What is read by key: `text` is the document's JSON, None where there is none, LEFT_OUT without room.

    `version`: that of the row, or of the snapshot; None where a row that is gone had its own. `error`: why
    no document can be made, often in PostgreSQL's words. `alias` is its index where a column chooses that.
    """

    key: str
    text: str | None = None
    version: int | None = None
    routing: str = ""
    error: str = ""
    alias: str = ""


class ChangedKey(NamedTuple):
    """A key whose event `moved`, or whose row may be gone; `newest` is the newest version of its events."""

    key: str
    moved: bool = True
    newest: int | None = None


@dataclass
class States:
    """Documents at one moment, by id: their keys, their rows (or why one cannot be read), events in flight.

    Both of one document are of one snapshot. An id without a key is none that a row can have.
    """

    keys: dict[str, str] = field(default_factory=dict)
    rows: dict[str, SourceRow] = field(default_factory=dict)
    flying: set[str] = field(default_factory=set)


class SourcePage(NamedTuple):
    """Documents by id instead of key, those of `read` rows; `place` is the key of the last of these.

    `ids`: the `_id` of each key, where a column chooses the index.
    """

    rows: Page
    place: str
    read: int
    ids: Sequence[tuple[str, str]] = ()


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
    return encoded(id_), read, document, routing and encoded(routing)


def raw_of(row: SourceRow) -> RawDocument:
    """A row that was read by key, as one that was copied; one that cannot be read has the reason."""
    if row.error:
        return [as_json(row.key), UNREADABLE, b"", row.error.encode(errors="replace")]
    version = b"" if row.version is None else str(row.version).encode()
    routing = as_json(row.routing) if row.routing else b""
    return [as_json(row.key), version, routing, (row.text or "").encode()]


def row_of(raw: RawDocument) -> SourceRow:
    """The inverse; one that cannot be read has no text."""
    id_, version, routing, document = raw
    text = document.decode()
    if version == UNREADABLE:
        return SourceRow(from_json(id_), error=text)
    read = int(version) if version else None
    return SourceRow(from_json(id_), text, read, from_json(routing) if routing else "")


def length_of(pages: Iterable[Page]) -> int:
    """The bytes of the documents of some pages."""
    return sum(len(row[3]) for page in pages for row in page)


def as_json(text: str) -> bytes:
    """A text as the server writes it as JSON."""
    return json.dumps(text, ensure_ascii=False).encode()


def from_json(text: bytes) -> str:
    """What a JSON text stands for."""
    return encoded(text).decode()


def encoded(text: bytes) -> bytes:
    """The same as bytes."""
    if b"\\" not in text:  # as most
        return text[1:-1]
    return str(json.loads(text.decode())).encode()
