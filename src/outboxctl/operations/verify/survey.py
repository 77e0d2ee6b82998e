"""A comparison as a report: figures, and the first few differences."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from threading import Event
from time import monotonic

from outboxctl.core.database import Database
from outboxctl.core.documents.source import READ, DocumentSource
from outboxctl.domain.errors import UsageError
from outboxctl.operations.verify.compare import ALL, compare
from outboxctl.operations.verify.model import Census, Difference, DifferenceKind, VerifyReport
from outboxctl.sink.index.scan import Reader

Act = Callable[[Iterable[Difference]], object]
MOST_FAILED = 100_000  # failed events that are looked at: their ids are held in memory
DIFFERING = (
    "{rows:,} rows and {documents:,} documents, though no document differs and nothing changed meanwhile:"
    " an id may be in several shards; `outboxctl rebuild{which}` makes an index with each once"
)


def survey(
    database: Database,
    reader: Reader,
    source: DocumentSource,
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
        connection.exec_driver_sql(READ)
        if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
            raise UsageError(
                "the database is a standby: its rows may be behind what was delivered",
                hint="compare with the primary: DATABASE_URL",
            )
        began = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        tally = DifferenceTally(limit, source.failed(connection, most=MOST_FAILED))

    def every() -> Iterator[Difference]:
        given = {"content": content, "census": tally.census, "advance": advance, "stop": stop}
        yield from compare(database, reader, source, **given)  # type: ignore[arg-type]
        if not (tally.differences or tally.in_flight or (stop and stop.is_set())):
            yield from _uncounted(database, reader, source, tally.census, began)

    (act or deque[Difference](maxlen=0).extend)(tally.count(every()))
    reader.check_unchanged()
    with database.begin() as connection:
        source.require(connection)
    return tally.report(source.projection.name, reader.shape.name, content=content)


def _uncounted(
    database: Database, reader: Reader, source: DocumentSource, census: Census, began: datetime
) -> Iterator[Difference]:
    """A finding where the numbers differ and no event since `began` explains it; where none else was made.

    Both sides are counted again: a row that was updated while its table was read moves, with or without an
    event, and may have been read twice, or not at all.
    """
    if census.rows == census.documents:
        return
    with database.begin() as connection:
        census.rows = source.documents(connection)
    census.documents = reader.count()
    if census.rows == census.documents:
        return
    with database.begin() as connection:
        moved = source.moved(connection, began)
    if not moved:
        which = f" --projection {source.projection.chosen_by}" if source.projection.name else ""
        text = DIFFERING.format(rows=census.rows, documents=census.documents, which=which)
        yield Difference(DifferenceKind.UNCOUNTED, ALL, error=text)


class DifferenceTally:
    """Counts differences by kind as they pass through, and keeps the `first` of them, at most `limit`.

    `failed` are the ids of documents that have a failed event.
    """

    def __init__(self, limit: int, failed: frozenset[str] = frozenset()) -> None:
        self.census = Census()
        self.by_kind: dict[str, int] = dict.fromkeys((kind.value for kind in DifferenceKind), 0)
        self.in_flight = self.with_failed_event = 0
        self._failed, self._limit = failed, limit
        self._first: list[Difference] = []
        self._began = monotonic()

    def count(self, differences: Iterable[Difference]) -> Iterator[Difference]:
        """Count differences, and yield those that are not in flight."""
        for difference in differences:
            if difference.in_flight:
                self.in_flight += 1
                continue
            self.by_kind[difference.kind] += 1
            self.with_failed_event += difference.id in self._failed
            if len(self._first) < self._limit:
                self._first.append(difference)
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
            self._first,
            self.with_failed_event,
        )
