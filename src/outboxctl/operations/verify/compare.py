"""Comparing both sides, with flat memory: what differs at the first reading is only suspect.

Both sides change while they are read. So each suspect is read again by id, on both sides, with the events in
flight for it, and judged by that alone.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.documents import entities, source_stream
from outboxctl.core.documents.entities import SourceRow
from outboxctl.core.documents.source_stream import Page, RawDocument
from outboxctl.domain.errors import UsageError
from outboxctl.operations.verify.judge import Review, differs
from outboxctl.operations.verify.lanes import LANES
from outboxctl.operations.verify.model import Census, Difference, is_utf8, key_of
from outboxctl.operations.verify.one_pass import OnePass
from outboxctl.operations.verify.two_passes import two_passes
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.index.scanned import ScannedDocument

CONNECTIONS = LANES + 1  # that a comparison takes from the database's pool
REVIEWED = 2_000  # entities read by id at once, at most
ROWS = 8_000  # read at once, of 600 bytes: some 15 MB of memory
BYTES = 8_000_000  # of rows read at once, where they are wider than a kilobyte
LEAST = 50  # rows read at once, however wide they are


def compare(
    database: Database,
    reader: Reader,
    *,
    content: bool = True,
    census: Census | None = None,
    advance: Callable[[int], object] = lambda _: None,
    stop: Event | None = None,
) -> Iterator[Difference]:
    """Yield each entity that differs, as soon as it is known; those with an event in flight are marked.

    `database` needs CONNECTIONS connections. Without `content` versions alone are compared. `census` counts
    what was read, `advance` is called with the rows of each page; after `stop` no page is begun.
    Raises UsageError for an index that cannot be compared, UnreachableError for an unreachable side.
    """
    if content and reader.shape.no_content:
        raise UsageError(
            f"the documents of {reader.shape.name} cannot be compared by content: {reader.shape.no_content}",
            hint="compare versions alone: --versions-only",
        )
    reader.refresh()
    comparison = Comparison(database, reader, content=content, census=census or Census())
    suspects = comparison.suspects(advance, stop or Event())
    review = Review(database, reader, content=content)
    while some := list(islice(suspects, min(REVIEWED, comparison.size))):
        yield from review.of(some)


def rows_at_once(width: int) -> int:
    """How many rows of `width` bytes on average are read at once."""
    return max(LEAST, min(ROWS, BYTES // max(1, width)))


class Comparison:
    """One run over all rows and documents; `size` of them are read at once."""

    def __init__(self, database: Database, reader: Reader, *, content: bool, census: Census) -> None:
        self._database, self._reader = database, reader
        self._content, self._census = content, census
        with database.begin() as connection:
            self._rows, width = entities.table_size(connection)
        self.size = rows_at_once(width)

    def suspects(self, advance: Callable[[int], object], stop: Event) -> Iterator[str]:
        """Ids that differ at the first reading: in one pass over both sides if that suffices, else in two."""
        whole = OnePass(self._database, self._reader, content=self._content, size=self.size)
        census = Census()
        ids = whole.suspects(self._rows, census, advance, stop)
        if ids is None:
            advance(-census.rows)
            yield from self._by_id(advance, stop)
        else:
            self._census.add(census)
            yield from ids

    def _by_id(self, advance: Callable[[int], object], stop: Event) -> Iterator[str]:
        return two_passes(
            source_stream.pages(self._database, None, size=self.size, most=BYTES),
            self._differing,
            self._reader,
            self._without_row,
            census=self._census,
            advance=advance,
            stop=stop,
        )

    def _differing(self, page: Page) -> tuple[int, list[str]]:
        """The ids of rows whose document differs, or that no document can have."""
        rows = [_row(each) for each in page]
        named = [row for row in rows if is_utf8(row.id)]
        found = self._reader.get([row.id for row in named], content=self._content)
        differing = [row.id for row, document in zip(named, found, strict=True) if differs(row, document)]
        return len(rows), [row.id for row in rows if not is_utf8(row.id)] + differing

    def _without_row(self, page: Sequence[ScannedDocument]) -> list[str]:
        keys = [key for document in page if (key := key_of(document.id))]
        with self._database.begin() as connection:
            there = entities.present(connection, keys)
        return [document.id for document in page if document.id not in there]


def _row(raw: RawDocument) -> SourceRow:
    """A row as it was read; one that cannot be read has no version, and is suspect."""
    id_, version, document = (each.decode("utf-8", "surrogateescape") for each in raw)
    return SourceRow(json.loads(id_), int(version) if version.lstrip("-").isdigit() else None, document)
