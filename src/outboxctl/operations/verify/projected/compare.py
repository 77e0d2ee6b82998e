"""Comparing a projection with its index in two passes: what differs there is only suspect.

The first pass reads the keys of the root page by page, their documents from the view, and those of the index
by id. The second reads the ids of the index as they are at one moment, and asks PostgreSQL for their rows.
Suspects are read again (`review`).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.projections import documents, pages, reading
from outboxctl.core.projections.documents import Documents
from outboxctl.core.refused_reads import ReadRefusedError, by_halves, reading_of
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Projection, document_id, is_hash
from outboxctl.operations.verify.model import Census, Difference, DifferenceKind, is_utf8
from outboxctl.operations.verify.projected.numbers import only_in_view
from outboxctl.operations.verify.projected.review import ProjectedReview, ProjectedSuspect, differs
from outboxctl.operations.verify.two_passes import two_passes
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.index.scanned import ScannedDocument

KEYS = 1_000  # of a page


def compare(
    database: Database,
    reader: Reader,
    projection: Projection,
    *,
    content: bool = True,
    census: Census | None = None,
    advance: Callable[[int], object] = lambda _: None,
    stop: Event | None = None,
) -> Iterator[Difference]:
    """Yield each document that differs, as soon as it is known; those with an event in flight are marked.

    `reader` is of the projection's index, without key fields; `database` needs CONNECTIONS connections.
    Without `content` only presence is compared. `census` counts what was read, `advance` is called with the
    rows of each page; after `stop` no page is begun. Raises UsageError for an index that cannot be compared,
    InconclusiveError for a view that cannot be read, UnreachableError for an unreachable side.
    """
    if content and reader.shape.no_content:
        raise UsageError(
            f"the documents of {reader.shape.name} cannot be compared by content: {reader.shape.no_content}",
            hint="compare presence alone: --versions-only",
        )
    reader.refresh()
    comparison = ProjectedComparison(database, reader, projection, content=content)
    review = ProjectedReview(database, reader, projection, content=content)
    stop, unreadable = stop or Event(), False
    suspects = comparison.suspects(census or Census(), advance, stop)
    while some := list(islice(suspects, KEYS)):
        for difference in review.of(some):
            unreadable |= difference.kind is DifferenceKind.UNREADABLE
            yield difference
    if not stop.is_set():
        yield from only_in_view(database, projection, unreadable=unreadable)


class ProjectedComparison:
    """One run over all keys of the root, and all ids of the index."""

    def __init__(self, database: Database, reader: Reader, projection: Projection, *, content: bool) -> None:
        self._database, self._reader, self._projection = database, reader, projection
        self._content = content

    def suspects(
        self, census: Census, advance: Callable[[int], object], stop: Event
    ) -> Iterator[ProjectedSuspect]:
        """What differs at the first reading: rows without their document, documents without a row."""
        return two_passes(
            self._pages(),
            self._examine,
            self._reader,
            self._without_row,
            census=census,
            advance=advance,
            stop=stop,
        )

    def _pages(self) -> Iterator[list[str]]:
        after = None
        while True:
            with self._database.begin() as connection:
                keys = pages.page(connection, self._projection, after, KEYS)
            if not keys:
                return
            yield keys
            after = keys[-1]

    def _examine(self, keys: Sequence[str]) -> tuple[int, list[ProjectedSuspect]]:
        count, suspects = 0, list[ProjectedSuspect]()
        for part in reading.parts(self._projection, keys, self._read):
            pairs = zip(part.keys, part.texts, strict=True)
            rows = {document_id(key): (key, text) for key, text in pairs if text is not None}
            routings = dict(zip(part.keys, part.routings, strict=False))
            suspects += [ProjectedSuspect(document_id(key), key) for key in part.keys if part.error]
            suspects += self._differing(rows, routings)
            count += len(rows)
        return count, suspects

    def _differing(
        self, rows: dict[str, tuple[str, str]], routings: dict[str, str]
    ) -> Iterator[ProjectedSuspect]:
        found = self._reader.get([*rows], content=self._content)
        for (id_, (key, text)), document in zip(rows.items(), found, strict=True):
            if differs(text, document, self._projection, routings.get(key, "")):
                yield ProjectedSuspect(id_, key)

    def _read(self, keys: Sequence[str]) -> Documents:
        with self._database.begin() as connection:
            if not (self._content or self._projection.routing):
                return pages.presence(connection, self._projection, keys)
            return documents.read(
                connection, self._projection, keys, seconds=pages.SECONDS, max_bytes=reading.BYTES
            )

    def _without_row(self, page: Sequence[ScannedDocument]) -> list[ProjectedSuspect]:
        """The documents of a page that have none. A hash of a long key is looked for as one, too."""
        ids = [document.id for document in page]
        keys = [id_ for id_ in ids if is_utf8(id_) and pages.plausible(self._projection, id_)]
        absent = {suspect.id: suspect.key for suspect in self._absent(keys)}
        there = set(keys) - absent.keys()
        hashes = {id_ for id_ in ids if is_hash(id_)} - there
        if hashes:
            with reading_of(self._projection.document), self._database.begin() as connection:
                there |= pages.present_hashes(connection, self._projection, [*hashes])
        keyless = hashes | (set(ids) - absent.keys())
        return [
            ProjectedSuspect(id_, None if id_ in keyless else absent[id_]) for id_ in ids if id_ not in there
        ]

    def _absent(self, keys: Sequence[str]) -> Iterator[ProjectedSuspect]:
        """Keys without a row; one that is none of its type has none, either."""
        with reading_of(self._projection.document):
            for some, there in by_halves([keys] if keys else [], self._present):
                if not isinstance(there, ReadRefusedError):
                    yield from (ProjectedSuspect(key, key) for key in some if key not in there)
                elif not reading.is_key(self._database, self._projection, some[0]):
                    yield ProjectedSuspect(some[0], None)
                # else the first pass reports it: a row that cannot be read

    def _present(self, keys: Sequence[str]) -> set[str]:
        with self._database.begin() as connection:
            return pages.present(connection, self._projection, keys)
