"""Buckets: all possible keys in ranges of a few thousand rows each; pure.

Every document with both key fields falls into exactly one range, in the order of their bytes, which is that
of the index: so an extra document between two rows is read, too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from outboxctl.core.documents.entities import Key, Span, Spread
from outboxctl.operations.verify.model import is_utf8

NIL, LAST = str(UUID(int=0)), str(UUID(int=2**128 - 1))
ROWS = 8_000  # of 600 bytes: some 15 MB of memory a bucket
BYTES = 8_000_000  # of rows a bucket, where they are wider than a kilobyte
LEAST = 50  # rows a bucket at least, however wide they are


@dataclass(frozen=True)
class Bucket:
    """The keys from `start` to before `end` (None: no bound), and the source's part of them."""

    start: Key | None
    end: Key | None
    spans: list[Span]
    rows: int

    def holds(self, key: Key) -> bool:
        """Whether the key is in its range."""
        above = self.start is None or in_order(key) >= in_order(self.start)
        return above and (self.end is None or in_order(key) < in_order(self.end))


def rows_a_bucket(width: int) -> int:
    """Rows a bucket, for rows of `width` bytes on average."""
    return max(LEAST, min(ROWS, BYTES // max(1, width)))


def buckets(spread: Iterable[Spread], size: int) -> Iterator[Bucket]:
    """Ranges of about `size` rows, at most, that cover all keys; small types share one."""
    start: Key | None = None
    spans: list[Span] = []
    rows = 0
    for span, count in _pieces(spread, size):
        if rows and rows + count > size and is_utf8(span.entity_type):
            end = Key(span.entity_type, "" if span.low == NIL else span.low)
            yield Bucket(start, end, spans, rows)
            start, spans, rows = end, [], 0
        spans.append(span)
        rows += count
    yield Bucket(start, None, spans, rows)


def in_order(key: Key) -> tuple[bytes, bytes]:
    """A key as the index orders it."""
    return (key.entity_type.encode(errors="surrogateescape"), key.entity_id.encode())


def _pieces(spread: Iterable[Spread], size: int) -> Iterator[tuple[Span, int]]:
    for kind, rows, starts in sorted(spread, key=lambda one: in_order(Key(one.entity_type, ""))):
        lows = [NIL, *starts]
        highs = [*map(_before, starts), LAST]
        counts = [size] * len(starts) + [rows - size * len(starts)]
        for low, high, count in zip(lows, highs, counts, strict=True):
            yield Span(kind, low, high), count


def _before(entity_id: str) -> str:
    return str(UUID(int=UUID(entity_id).int - 1))
