"""The difference of two large sets, by a small table that holds neither.

An invertible Bloom lookup table (Eppstein, Goodrich, Uyeda, Varghese: "What's the Difference? Efficient Set
Reconciliation without Prior Context", 2011). Every entity is a number, made of its id and a hash of all that
is compared. The numbers of one side are added and those of the other subtracted, each in two cells that its
hash selects: what both sides have cancels out. Where a single number is left in a cell its id can be read;
taken out of its other cell, too, it may leave a single one there.
"""

import os
from collections import Counter, deque
from collections.abc import Iterable
from threading import Lock

from outboxctl.core.documents.rows import RowState

CELLS = 2**16  # a table; a power of two. Up to 20,000 numbers of one side are found 19 times of 20
HASH_BITS, SECOND = 64, 32  # of the hash; its bits from there on select the cell of the second table
HASH = (1 << HASH_BITS) - 1
MARK = b"\x01"  # before an id, which may begin with NUL


def secret() -> bool:
    """Whether the key of Python's hashes is random: with a known one, two bodies of one hash can be found."""
    return os.environ.get("PYTHONHASHSEED", "random") in {"", "random"}


class Sketch:
    """Sums of both sides; safe to use from several threads.

    Python's hash of bytes has a key and 64 bits: that two states of an entity have the same one, or
    that what is left of several sums to nothing, is as likely as an error of memory that no checksum notices.
    """

    def __init__(self, cells: int = CELLS) -> None:
        self._first, self._second = [0] * cells, [0] * cells
        self._last = cells - 1
        self._lock = Lock()

    def add(self, counted: Iterable[int]) -> None:
        """Add the `numbers` of entities of the one side."""
        with self._lock:
            self._add(counted)

    def subtract(self, counted: Iterable[int]) -> None:
        """Subtract those of the other side."""
        with self._lock:
            self._subtract(counted)

    def remaining(self) -> list[bytes] | None:
        """The ids of what only one side has, None where they are too many. Empties the sketch."""
        taken: Counter[int] = Counter()
        waiting = deque(place for place in range(2 * len(self._first)) if self._sum(place))
        for _ in range(8 * len(self._first)):  # bounded: several taken for one fill another cell
            if not waiting:
                break
            if alone := self._alone(waiting.popleft()):
                each = abs(alone)
                taken[each] += 1 if alone > 0 else -1  # the sum of several, taken for one, is put back later
                (self._subtract if alone > 0 else self._add)([each])
                waiting.extend(self._places(each))
        left = any(self._first) or any(self._second)
        return None if left else [*{id_of(each): None for each, times in taken.items() if times}]

    def _add(self, some: Iterable[int]) -> None:
        first, second, last = self._first, self._second, self._last
        for each in some:
            first[each & last] += each
            second[each >> SECOND & last] += each

    def _subtract(self, some: Iterable[int]) -> None:
        first, second, last = self._first, self._second, self._last
        for each in some:
            first[each & last] -= each
            second[each >> SECOND & last] -= each

    def _alone(self, place: int) -> int:
        """The sum in a cell where it can be that of a single number; else 0."""
        total = self._sum(place)
        return total if total and place in self._places(abs(total)) else 0

    def _places(self, each: int) -> tuple[int, int]:
        """The cells of a number: of the first table, and of the second behind it."""
        return each & self._last, len(self._first) + (each >> SECOND & self._last)

    def _sum(self, place: int) -> int:
        cells = len(self._first)
        return self._first[place] if place < cells else self._second[place - cells]


def numbers(states: Iterable[RowState]) -> list[int]:
    """States as positive numbers.

    Python hashes a number by its remainder (of 2^61 - 1), so versions that far apart would be the same: their
    highest bits are hashed as well.
    """
    read = int.from_bytes
    return [
        read(MARK + id_) << HASH_BITS | hash((id_, version, (version or 0) >> 60, body, routing)) & HASH
        for id_, version, body, routing in states
    ]


def id_of(each: int) -> bytes:
    """The id in a number."""
    id_ = each >> HASH_BITS
    return id_.to_bytes(-(-id_.bit_length() // 8))[1:]
