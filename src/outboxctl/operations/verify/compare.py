"""Comparing both sides bucket by bucket, with flat memory: what differs there is only in doubt.

Both sides move while they are read. So whatever differs is read again by id, on both sides, with the
events under way for it, and judged by that alone.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.documents import entities
from outboxctl.domain.errors import UsageError
from outboxctl.operations.verify.buckets import LEAST, Bucket, buckets, rows_a_bucket
from outboxctl.operations.verify.judge import differs
from outboxctl.operations.verify.model import Census, Difference, key_of
from outboxctl.operations.verify.read_ahead import LANES, in_lanes
from outboxctl.operations.verify.review import Doubt, Review
from outboxctl.sink.index.scan import Reader, ScannedDocument

CONNECTIONS = LANES + 1  # that a comparison takes from the database's pool
REVIEWED = 2_000  # entities read by id at once, at most: no more than a bucket's rows
HELD = 10_000  # doubts of one bucket in memory


def compare(
    database: Database,
    reader: Reader,
    *,
    content: bool = True,
    census: Census | None = None,
    advance: Callable[[int], object] = lambda _: None,
    stop: Event | None = None,
) -> Iterator[Difference]:
    """Yield each entity that differs, once, as soon as it is known; what is in flight is marked so.

    Any index name will do. `database` needs CONNECTIONS connections. Without `content` versions alone
    are compared. `census` counts what was gone through, `advance` is told of the rows that were; once
    `stop` is set no further bucket is begun.
    Raises UsageError for an index that cannot be compared, UnreachableError if a side is away.
    """
    if content and reader.shape.no_content:
        raise UsageError(
            f"the documents of {reader.shape.index} cannot be compared by content: {reader.shape.no_content}",
            hint="compare versions alone: --versions-only",
        )
    reader.refresh()
    one = Comparison(database, reader, content=content, census=census or Census())
    doubts = one.doubts(advance, stop or Event())
    review = Review(database, reader, content=content)
    while some := list(islice(doubts, min(REVIEWED, one.size))):
        yield from review.of(some)


class Comparison:
    """One run over all buckets; `size` is their number of rows."""

    def __init__(self, database: Database, reader: Reader, *, content: bool, census: Census) -> None:
        self._database, self._reader = database, reader
        self._content, self._census = content, census
        with database.begin() as connection:
            self.size = rows_a_bucket(entities.bytes_a_row(connection))

    def doubts(self, advance: Callable[[int], object], stop: Event) -> Iterator[Doubt]:
        """What does not agree at first sight, over all buckets and the documents that belong to none."""
        with in_lanes(self._examine, self._plan()) as examined:
            for bucket, (census, found) in examined:
                yield from found
                self._census.add(census)
                advance(bucket.rows)
                if stop.is_set():
                    return
        for page in self._reader.strays():
            self._census.documents += len(page)
            yield from (Doubt(document.id, misplaced=True) for document in page)

    def _plan(self) -> list[Bucket]:
        with self._database.begin() as connection:
            return list(buckets(entities.spread(connection, self.size), self.size))

    def _examine(self, bucket: Bucket) -> tuple[Census, Iterable[Doubt]]:
        """A bucket's doubts, and what is gone through while they are found.

        They are found at once. A bucket that has too many to be held is read again when it is its turn:
        a repair of those before may take longer than a point in time is kept.
        """
        census = Census(buckets=1)
        with closing(self._doubts_of(bucket, census)) as doubts:
            found = list(islice(doubts, HELD))
        if len(found) < HELD:
            return census, found
        census = Census(buckets=1)
        return census, self._doubts_of(bucket, census)

    def _doubts_of(self, bucket: Bucket, census: Census) -> Generator[Doubt, None, None]:
        with self._database.begin() as connection:
            rows = {r.id: r for r in entities.rows(connection, bucket.spans, content=self._content)}
        census.rows += len(rows)
        page_size = self.size + LEAST  # one page for a bucket that agrees
        for page in self._reader.pages(bucket.start, bucket.end, page_size, content=self._content):
            census.documents += len(page)
            for document in page:
                row = rows.pop(document.id, None)
                if row is None or differs(row, document):
                    yield _doubt(bucket, document)
        yield from map(Doubt, rows)


def _doubt(bucket: Bucket, document: ScannedDocument) -> Doubt:
    key = key_of(document.id)
    return Doubt(document.id, misplaced=key is None or not bucket.holds(key))
