"""Comparing both sides, with flat memory: what differs at the first reading is only suspect.

Both sides change while they are read. So each suspect is read again by id, on both sides, with the events in
flight for it, and judged by that alone (`review`).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.documents.rows import SourcePage, SourceRow, row_of
from outboxctl.core.documents.source import DocumentSource, PageOptions
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import is_text
from outboxctl.operations.verify.judge import differs
from outboxctl.operations.verify.lanes import LANES, in_lanes
from outboxctl.operations.verify.model import Census, Difference, DifferenceKind
from outboxctl.operations.verify.one_pass import OnePass
from outboxctl.operations.verify.review import Review
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.index.scanned import ScannedDocument

CONNECTIONS = LANES + 1  # that a comparison takes from the database's pool
SIZE = 1_000  # documents read by id at once, at most
BYTES = 4_000_000  # of them
ALL = "*"  # in place of a document's id, where a finding is of no single one
NO_ROOT = "no row of {} has this key: correct the view, or the root and the key of the declaration"
NOT_LOOKED_FOR = "rows of {} without a row of the root could not be looked for: {}"


def compare(
    database: Database,
    reader: Reader,
    source: DocumentSource,
    *,
    content: bool = True,
    census: Census | None = None,
    advance: Callable[[int], object] = lambda _: None,
    stop: Event | None = None,
) -> Iterator[Difference]:
    """Yield each document that differs, as soon as it is known; those with an event in flight are marked.

    `database` needs CONNECTIONS connections. Without `content` versions alone are compared, or presence.
    `census` counts what was read, `advance` is called with the rows of each page; after `stop` no page is
    begun. Raises UsageError for an index that cannot be compared, InconclusiveError for a view that cannot be
    read, UnreachableError for an unreachable side.
    """
    if content and reader.shape.no_content:
        raise UsageError(
            f"the documents of {reader.shape.name} cannot be compared by content: {reader.shape.no_content}",
            hint="compare versions alone: --versions-only",
        )
    reader.refresh()
    stop, unreadable = stop or Event(), False
    comparison = Comparison(database, reader, source, content=content, census=census or Census())
    suspects = comparison.suspects(advance, stop)
    review = Review(database, reader, source, content=content)
    while some := list(islice(suspects, SIZE)):
        for difference in review.of(some):
            unreadable |= difference.kind is DifferenceKind.UNREADABLE
            yield difference
    if not stop.is_set():
        yield from _unreached(database, source, unreadable=unreadable)


def _unreached(database: Database, source: DocumentSource, *, unreadable: bool) -> Iterator[Difference]:
    """Rows of the view whose key no row of the root has.

    `unreadable`: a row that cannot be read was reported, and may be why these cannot be looked for.
    """
    try:
        with database.begin() as connection:
            text = NO_ROOT.format(source.root(connection))
            for key in source.unreached(connection, size=SIZE):
                id_ = source.projection.id_of(key)
                yield Difference(DifferenceKind.UNREACHED, id_, key=key, error=text)
    except ReadRefusedError as error:
        with source.reading(None), database.begin() as connection:
            source.read(connection, [], content=False)
        if not unreadable:
            text = NOT_LOOKED_FOR.format(source.projection.document, error.words)
            yield Difference(DifferenceKind.UNREADABLE, ALL, error=text)


class Comparison:
    """One run over all rows and documents."""

    def __init__(
        self, database: Database, reader: Reader, source: DocumentSource, *, content: bool, census: Census
    ) -> None:
        self._database, self._reader, self._source = database, reader, source
        self._content, self._census = content, census

    def suspects(self, advance: Callable[[int], object], stop: Event) -> Iterator[str]:
        """Ids that differ at the first reading: in one pass over both sides if that suffices, else in two."""
        whole = OnePass(self._database, self._reader, self._source, content=self._content)
        ids = whole.suspects(self._census, advance, stop)
        if ids is None:
            advance(-self._census.rows)
            self._census.rows = self._census.documents = 0
            yield from self._by_id(advance, stop)
        else:
            yield from ids

    def _by_id(self, advance: Callable[[int], object], stop: Event) -> Iterator[str]:
        """Each row's document, then each document's row. A few pages are in memory."""
        wanted = PageOptions(SIZE, BYTES, self._content, versions=False)
        rows = self._source.pages(self._database, None, wanted)
        with in_lanes(self._differing, rows) as examined:
            for page, suspects in examined:
                yield from suspects
                self._census.rows += len(page.rows)
                advance(page.read)
                if stop.is_set():
                    return
        with in_lanes(self._without_row, self._reader.everything()) as examined_documents:
            for documents, suspects in examined_documents:
                yield from suspects
                self._census.documents += len(documents)
                if stop.is_set():
                    return

    def _differing(self, page: SourcePage) -> list[str]:
        """The ids of rows whose document differs, or that no document can have."""
        rows = {each.key: each for each in map(row_of, page.rows)}
        ids = [id_ for id_ in rows if is_text(id_)]
        documents = dict(zip(ids, self._reader.get(ids, content=self._content), strict=True))
        return [
            id_
            for id_, row in rows.items()
            if id_ not in documents or differs(row, documents[id_], self._source)
        ]

    def _without_row(self, page: Sequence[ScannedDocument]) -> list[str]:
        keys = self._source.keys(self._database, [each.id for each in page if is_text(each.id)])
        parts = self._source.each(self._database, [*dict.fromkeys(keys.values())], self._present)
        id_of = self._source.projection.id_of
        rows = (each for part in parts for each in part if each.error or each.text is not None)
        there = {each.id or id_of(each.key) for each in rows}
        return [each.id for each in page if each.id not in there]

    def _present(self, keys: Sequence[str]) -> list[SourceRow]:
        with self._database.begin() as connection:
            return self._source.read(connection, keys, content=False)
