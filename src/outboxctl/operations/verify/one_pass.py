"""One pass over both sides, each in the order in which it lies there; no order of keys is shared.

That is a fraction of what it costs to find rows and documents by their keys: the engine unpacks each block of
documents once instead of once a document, and PostgreSQL reads each page once. A sketch of both (`sketch.py`)
finds the ids of what differs. Both sides change while they are read, so these are only suspect.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from threading import Event

from outboxctl.core.documents.rows import PageRange, RowState, SourcePage, state_of
from outboxctl.core.documents.source import PageOptions
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.projection import Routing
from outboxctl.operations.pipeline import BufferedRead, begun, in_lanes
from outboxctl.operations.verify.model import Census, Sides
from outboxctl.operations.verify.sketch import Sketch, numbers, secret
from outboxctl.sink.index.scanned import ScannedDocument

LANES = 2  # threads that read rows
FIRST, LEAST, MOST = 200, 50, 8_000  # rows of a range: the first one, and all others
BYTES = 8_000_000  # about, of their documents: some 15 MB of memory
PAGE = 1_000  # rows, where they are read by key
NO_BODY = b"{}"  # where content is not compared


class OnePass:
    """One pass."""

    def __init__(self, sides: Sides) -> None:
        self._database, self._reader, self._source = sides.database, sides.reader, sides.source
        self._content = sides.content
        self._sketch, self._over = Sketch(), Event()
        self._size = FIRST  # of the next range, by the documents of those before

    def suspects(self, census: Census, advance: Callable[[int], object], stop: Event) -> Sequence[str] | None:
        """The ids of what differs; none after `stop`.

        None where they cannot be found so: they are too many, a pipeline adds fields, hashes have no secret
        key, or a side failed, such as the node of a shard's copy: on another one the documents have another
        order. `census` counts all the same.
        """
        if not secret() or (self._content and self._source.projection.pipeline):
            return None
        try:
            return self._compared(census, advance, stop)
        except OutboxctlError:
            return None  # a role that may not read `ctid`, say; by keys it is raised again, or is no matter
        finally:
            self._over.set()

    def _compared(
        self, census: Census, advance: Callable[[int], object], stop: Event
    ) -> Sequence[str] | None:
        with self._database.begin() as connection:
            last, rows = self._source.last_page(connection), self._source.count(connection)
        parts: Iterable[PageRange | SourcePage] = self._pages() if last is None else self._ranges(last, rows)
        documents = begun(lambda: self._read_index(stop))
        with in_lanes(self._read_rows, parts, LANES) as read:
            for _, count in read:
                census.rows += count
                advance(count)
                if stop.is_set():
                    return []
                if documents.done():
                    documents.result()  # raises what was raised there
        census.documents = documents.result()
        ids = self._sketch.remaining()
        return ids if ids is None else [id_.decode() for id_ in ids]

    def _ranges(self, last: int, rows: int) -> Iterator[PageRange]:
        """All pages of a root that has so many, of about so many rows."""
        first = 0
        while (end := first + max(1, self._size * last // max(1, rows))) < last:
            yield PageRange(first, end)
            first = end
        yield PageRange(first, None)

    def _pages(self) -> Iterator[SourcePage]:
        wanted = PageOptions(PAGE, BYTES, self._content, versions=False)
        return self._source.pages(self._database, None, wanted)

    def _read_rows(self, part: PageRange | SourcePage) -> int:
        states = [*map(state_of, part.rows)] if isinstance(part, SourcePage) else self._range(part)
        if states:
            length = sum(len(document) for _, _, document, _ in states)
            self._size = max(LEAST, min(MOST, BYTES * len(states) // max(1, length)))
        if [None for state in states if b"\n" in state[2]]:  # which are sent without
            states = [(id_, version, body.replace(b"\n", b" "), at) for id_, version, body, at in states]
        self._sketch.add(numbers(states))
        return len(states)

    def _range(self, pages: PageRange) -> list[RowState]:
        try:
            with self._database.begin() as connection:
                return self._source.in_range(connection, pages, content=self._content)
        except ReadRefusedError:
            return self._source.careful(self._database, pages, content=self._content)

    def _read_index(self, stop: Event) -> int:
        count = 0
        with closing(BufferedRead(self._reader.everything(content=self._content), 1)) as pages:
            for page in pages:
                self._sketch.subtract(numbers(self._states(page)))
                count += len(page)
                if self._over.is_set() or stop.is_set():
                    break
        return count

    def _states(self, page: Sequence[ScannedDocument]) -> Iterator[RowState]:
        """Documents as states of rows: in one loop, since it runs for each document."""
        versioned, content = self._source.versioned, self._content
        routed = self._source.projection.routed is not Routing.NONE
        return (
            (
                each.id.encode("utf-8", "surrogatepass"),
                each.version if versioned else None,
                bytes(each.source) if content else NO_BODY,
                each.routing.encode() if routed else b"",
            )
            for each in page
        )
