"""Comparing both sides bucket by bucket, with flat memory: what differs there is only suspect.

Both sides change while they are read. So each suspect is read again by id, on both sides, with the events in
flight for it, and judged by that alone.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from threading import Event
from time import sleep

from outboxctl.core.database import Database
from outboxctl.core.documents import entities, readable
from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.operations.verify.buckets import LEAST, Bucket, buckets, rows_a_bucket
from outboxctl.operations.verify.judge import Review, Suspect, differs
from outboxctl.operations.verify.lanes import LANES, in_lanes
from outboxctl.operations.verify.model import Census, Difference, key_of
from outboxctl.operations.verify.one_pass import OnePass
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.index.scanned import ScannedDocument

CONNECTIONS = LANES + 1  # that a comparison takes from the database's pool
REVIEWED = 2_000  # entities read by id at once, at most: no more than a bucket's rows
PAUSES = (1.0, 3.0)  # seconds before a bucket is read again: the others take over the shards of a node
HELD = 10_000  # suspects of one bucket in memory


def compare(
    database: Database,
    reader: Reader,
    *,
    content: bool = True,
    census: Census | None = None,
    advance: Callable[[int], object] = lambda _: None,
    stop: Event | None = None,
) -> Iterator[Difference]:
    """Yield each entity that differs, once, as soon as it is known; those with an event in flight are marked.

    `database` needs CONNECTIONS connections. Without `content` versions alone are compared. `census` counts
    what was read, `advance` is called with the rows of each bucket; after `stop` no bucket is begun.
    Raises UsageError for an index that cannot be compared, UnreachableError for an unreachable side.
    """
    if content and reader.shape.no_content:
        raise UsageError(
            f"the documents of {reader.shape.index} cannot be compared by content: {reader.shape.no_content}",
            hint="compare versions alone: --versions-only",
        )
    reader.refresh()
    comparison = Comparison(database, reader, content=content, census=census or Census())
    suspects = comparison.suspects(advance, stop or Event())
    review = Review(database, reader, content=content)
    while some := list(islice(suspects, min(REVIEWED, comparison.size))):
        yield from review.of(some)


class Comparison:
    """One run over all buckets; `size` is their number of rows."""

    def __init__(self, database: Database, reader: Reader, *, content: bool, census: Census) -> None:
        self._database, self._reader = database, reader
        self._content, self._census = content, census
        with database.begin() as connection:
            self._rows, width = entities.table_size(connection)
        self.size = rows_a_bucket(width)

    def suspects(self, advance: Callable[[int], object], stop: Event) -> Iterator[Suspect]:
        """What differs at the first reading: in one pass over both sides if that suffices, else by keys."""
        whole = OnePass(self._database, self._reader, content=self._content, size=self.size)
        census = Census()
        ids = whole.suspects(self._rows, census, advance, stop)
        if ids is None:
            advance(-census.rows)
            yield from self._by_keys(advance, stop)
        else:
            self._census.add(census)
            yield from map(Suspect, ids)

    def _by_keys(self, advance: Callable[[int], object], stop: Event) -> Iterator[Suspect]:
        """In all buckets, and among the documents that belong to none."""
        with in_lanes(self._examine, self._plan()) as examined:
            for bucket, (census, suspects) in examined:
                yield from suspects
                self._census.add(census)
                advance(bucket.rows)
                if stop.is_set():
                    return
        for page in self._reader.strays():
            self._census.documents += len(page)
            yield from (Suspect(document.id, misplaced=True) for document in page)

    def _plan(self) -> list[Bucket]:
        with self._database.begin() as connection:
            return list(buckets(entities.spread(connection, self.size), self.size))

    def _examine(self, bucket: Bucket) -> tuple[Census, Iterable[Suspect]]:
        """A bucket's suspects, and counts of what was read; read again where a view of the index is lost.

        That is what becomes of it where the node of a shard's copy dies. Its pages cannot be continued on
        another copy, whose documents have another order; so the bucket is read anew, a few times.
        """
        for pause in PAUSES:
            try:
                return self._read(bucket)
            except UnreachableError:
                sleep(pause)
        return self._read(bucket)

    def _read(self, bucket: Bucket) -> tuple[Census, Iterable[Suspect]]:
        """The same, once.

        A bucket with too many suspects to hold is read again when its turn comes: the repair of those before
        it may take longer than the engine keeps a point in time.
        """
        census = Census(buckets=1)
        with closing(self._suspects_of(bucket, census)) as suspects:
            held = list(islice(suspects, HELD))
        if len(held) < HELD:
            return census, held
        census = Census(buckets=1)
        return census, self._suspects_of(bucket, census)

    def _suspects_of(self, bucket: Bucket, census: Census) -> Generator[Suspect, None, None]:
        rows = {r.id: r for r in readable.rows(self._database, bucket.spans, content=self._content)}
        census.rows += len(rows)
        page_size = self.size + LEAST  # one page for a bucket that agrees
        for page in self._reader.pages(bucket.start, bucket.end, page_size, content=self._content):
            census.documents += len(page)
            for document in page:
                row = rows.pop(document.id, None)
                if row is None or differs(row, document):
                    yield _suspect(bucket, document)
        yield from map(Suspect, rows)


def _suspect(bucket: Bucket, document: ScannedDocument) -> Suspect:
    key = key_of(document.id)
    return Suspect(document.id, misplaced=key is None or not bucket.holds(key))
