"""A comparison as a report: figures, and the first few differences."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from time import monotonic

from outboxctl.core.database import Database
from outboxctl.core.documents import entities
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Census, Difference, DifferenceKind, VerifyReport
from outboxctl.sink.index.scan import Reader

Act = Callable[[Iterable[Difference]], object]
MOST_FAILED = 100_000  # failed events that are looked at: their ids are held in memory


def survey(
    database: Database,
    reader: Reader,
    *,
    content: bool,
    limit: int,
    advance: Callable[[int], object],
    stop: Event | None = None,
    act: Act | None = None,
) -> VerifyReport:
    """Compare (see `compare`), pass every difference that is not in flight to `act`, and report.

    Raises UsageError for a standby, and at the end InconclusiveError if the reader's alias leads to another
    index by then.
    """
    with database.begin() as connection:
        entities.require_primary(connection)
        failed = entities.failed(connection, most=MOST_FAILED)
    tally = DifferenceTally(limit, failed)
    differences = compare(database, reader, content=content, census=tally.census, advance=advance, stop=stop)
    (act or deque[Difference](maxlen=0).extend)(tally.count(differences))
    reader.check_unchanged()
    return tally.report("", reader.shape.index, content=content)


class DifferenceTally:
    """Counts differences by kind as they pass through, and keeps the `first` of them, at most `limit`.

    `failed` are the ids of documents that have a failed event.
    """

    def __init__(self, limit: int, failed: frozenset[str] = frozenset()) -> None:
        self.census = Census()
        self.by_kind: dict[str, int] = dict.fromkeys((kind.value for kind in DifferenceKind), 0)
        self.in_flight = self.with_failed_event = 0
        self.failed = failed
        self.first: list[Difference] = []
        self._limit = limit
        self._began = monotonic()

    def count(self, differences: Iterable[Difference]) -> Iterator[Difference]:
        """Count differences, and yield those that are not in flight."""
        for difference in differences:
            if difference.in_flight:
                self.in_flight += 1
                continue
            self.by_kind[difference.kind] += 1
            self.with_failed_event += difference.id in self.failed
            if len(self.first) < self._limit:
                self.first.append(difference)
            yield difference

    @property
    def differences(self) -> int:
        """How many differ so far."""
        return sum(self.by_kind.values())

    def report(self, name: str, index: str, *, content: bool) -> VerifyReport:
        """What was found, by now."""
        return VerifyReport(
            name,
            index,
            content,
            self.census.rows,
            self.census.documents,
            self.differences,
            dict(self.by_kind),
            self.in_flight,
            round(monotonic() - self._began, 3),
            self.first,
            self.with_failed_event,
        )
