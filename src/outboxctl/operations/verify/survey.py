"""A comparison as a report: figures, and the first few differences."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from time import monotonic
from typing import Any

from outboxctl.core.database import Connection, Database
from outboxctl.core.documents import entities, source_rows
from outboxctl.core.projections import in_force, pages
from outboxctl.domain.projection import Projection, document_id
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Census, Difference, DifferenceKind, VerifyReport
from outboxctl.operations.verify.projected import compare as projected
from outboxctl.operations.verify.projected.numbers import uncounted
from outboxctl.sink.index.scan import Reader

Act = Callable[[Iterable[Difference]], object]
MOST_FAILED = 100_000  # failed events that are looked at: their ids are held in memory


def rows(database: Database, projection: Projection | None) -> int:
    """How many rows there are to compare, of a projection about."""
    with database.begin() as connection:
        return pages.estimate(connection, projection) if projection else source_rows.count(connection)


def survey(
    database: Database,
    reader: Reader,
    projection: Projection | None = None,
    *,
    content: bool,
    limit: int,
    advance: Callable[[int], object],
    stop: Event | None = None,
    act: Act | None = None,
) -> VerifyReport:
    """Compare, pass every difference that is not in flight to `act`, and report.

    Raises UsageError for a standby, and at the end InconclusiveError if the reader's alias leads to another
    index, or another declaration is in force.
    """
    with database.begin() as connection:
        entities.require_primary(connection)
        began = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        tally = DifferenceTally(limit, _failed(connection, projection))
    given: dict[str, Any] = {"content": content, "census": tally.census, "advance": advance, "stop": stop}

    def every() -> Iterator[Difference]:
        if projection is None:
            yield from compare(database, reader, **given)
            return
        yield from projected.compare(database, reader, projection, **given)
        if not (tally.differences or tally.in_flight or (stop and stop.is_set())):
            yield from uncounted(database, projection, tally.census, began)

    (act or deque[Difference](maxlen=0).extend)(tally.count(every()))
    reader.check_unchanged()
    if projection:
        with database.begin() as connection:
            in_force.require(connection, projection)
    return tally.report(projection.name if projection else "", reader.shape.name, content=content)


def _failed(connection: Connection, projection: Projection | None) -> frozenset[str]:
    """The ids of documents that have a failed event."""
    if projection is None:
        return entities.failed(connection, most=MOST_FAILED)
    keys = entities.failed_keys(connection, projection.name, most=MOST_FAILED)
    return frozenset(map(document_id, keys))


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
