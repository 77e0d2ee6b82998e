"""A comparison counted while it runs: nothing of it is kept but figures and the first few differences."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from threading import Event
from time import monotonic

from outboxctl.core.database import Database
from outboxctl.core.documents import entities
from outboxctl.operations.verify import agreements
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Census, Difference, DifferenceKind, VerifyReport
from outboxctl.sink.index.scan import Reader

Act = Callable[[Iterable[Difference]], object]


def survey(
    database: Database,
    reader: Reader,
    *,
    content: bool,
    limit: int,
    advance: Callable[[int], object],
    full: bool = False,
    stop: Event | None = None,
    act: Act | None = None,
) -> VerifyReport:
    """Compare (see `compare`), have `act` go through every lasting difference, and report.

    Unless it is to be `full`, nothing is read if neither side has changed since they last agreed.
    Raises UsageError for a standby, and in the end InconclusiveError if the reader's name has come to
    lead to another index.
    """
    with database.begin() as connection:
        entities.require_primary(connection)
    seen = Survey(reader.shape.index, content=content, limit=limit)
    before = agreements.take(database, reader)
    known = agreements.recall(before, content=content) if before and not full else None
    if known:
        seen.census = Census(0, known.rows, known.documents)
        return replace(seen.report(), unchanged_since=known.at)
    found = compare(database, reader, content=content, census=seen.census, advance=advance, stop=stop)
    (act or deque[Difference](maxlen=0).extend)(seen.watch(found))
    reader.check_unchanged()
    stopped = stop is not None and stop.is_set()
    if before and seen.agrees and not stopped and agreements.take(database, reader) == before:
        agreements.remember(before, seen.census, content=content)
    return seen.report()


class Survey:
    """Counts differences as they pass through; `report` may be asked for at any time."""

    def __init__(self, index: str, *, content: bool, limit: int) -> None:
        self.census = Census()
        self._index, self._content, self._limit = index, content, limit
        self._by_kind: dict[str, int] = dict.fromkeys((kind.value for kind in DifferenceKind), 0)
        self._in_flight = 0
        self._first: list[Difference] = []
        self._began = monotonic()

    def watch(self, differences: Iterable[Difference]) -> Iterator[Difference]:
        """Pass on what is no passing difference, counted."""
        for difference in differences:
            if difference.in_flight:
                self._in_flight += 1
                continue
            self._by_kind[difference.kind] += 1
            if len(self._first) < self._limit:
                self._first.append(difference)
            yield difference

    @property
    def agrees(self) -> bool:
        """Whether nothing differed so far, not even in passing."""
        return not self._in_flight and not any(self._by_kind.values())

    def report(self) -> VerifyReport:
        """What was found so far."""
        seen = self.census
        return VerifyReport(
            self._index,
            self._content,
            seen.buckets,
            seen.rows,
            seen.documents,
            sum(self._by_kind.values()),
            dict(self._by_kind),
            self._in_flight,
            round(monotonic() - self._began, 3),
            self._first,
        )
