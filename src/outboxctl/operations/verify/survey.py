"""A comparison as a report: figures, and the first few differences."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from threading import Event
from time import monotonic

from outboxctl.core.documents.source import READ
from outboxctl.domain.errors import UsageError
from outboxctl.operations.verify.compare import ALL, compare
from outboxctl.operations.verify.model import Difference, DifferenceKind, Sides, VerifyReport

Act = Callable[[Iterable[Difference]], object]
MOST_FAILED = 100_000  # failed events that are looked at: their ids are held in memory
DIFFERING = (
    "{rows:,} rows and {documents:,} documents, though no document differs and nothing changed meanwhile:"
    " an id may be in several shards; `outboxctl rebuild{which}` makes an index with each once"
)


def survey(
    sides: Sides,
    *,
    limit: int,
    advance: Callable[[int], object],
    stop: Event | None = None,
    act: Act | None = None,
) -> VerifyReport:
    """Compare, pass every difference that is not in flight to `act`, and report the first `limit` of them.

    Raises UsageError for a standby, and at the end InconclusiveError if the reader's alias leads to another
    index, or another declaration is in force.
    """
    started, source = monotonic(), sides.source
    with sides.database.begin() as connection:
        connection.exec_driver_sql(READ)
        if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
            raise UsageError(
                "the database is a standby: its rows may be behind what was delivered",
                hint="compare with the primary: DATABASE_URL",
            )
        began = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        failed = source.failed(connection, most=MOST_FAILED)
    report = VerifyReport(name=source.projection.name, index=sides.reader.shape.name, content=sides.content)

    def every() -> Iterator[Difference]:
        yield from compare(sides, census=report, advance=advance, stop=stop)
        if not (report.differences or report.in_flight or (stop and stop.is_set())):
            yield from _uncounted(sides, report, began)

    (act or deque[Difference](maxlen=0).extend)(_counted(every(), report, failed, limit))
    sides.reader.check_unchanged()
    with sides.database.begin() as connection:
        source.require(connection)
    report.seconds = round(monotonic() - started, 3)
    return report


def _uncounted(sides: Sides, report: VerifyReport, began: datetime) -> Iterator[Difference]:
    """A finding where the numbers differ and no event since `began` explains it; where none else was made.

    Both sides are counted again: a row that was updated while its table was read moves, with or without an
    event, and may have been read twice, or not at all.
    """
    if report.rows == report.documents:
        return
    with sides.database.begin() as connection:
        report.rows = sides.source.documents(connection)
    report.documents = sides.reader.count()
    if report.rows == report.documents:
        return
    with sides.database.begin() as connection:
        moved = sides.source.moved(connection, began)
    if not moved:
        which = f" --projection {sides.source.projection.chosen_by}" if report.name else ""
        text = DIFFERING.format(rows=report.rows, documents=report.documents, which=which)
        yield Difference(DifferenceKind.UNCOUNTED, ALL, error=text)


def _counted(
    differences: Iterable[Difference], report: VerifyReport, failed: frozenset[str], limit: int
) -> Iterator[Difference]:
    """Count differences as they pass through, and yield those that are not in flight.

    `failed` are the ids of documents that have a failed event.
    """
    for difference in differences:
        if difference.in_flight:
            report.in_flight += 1
            continue
        report.differences += 1
        report.by_kind[difference.kind] += 1
        report.with_failed_event += difference.id in failed
        if len(report.first) < limit:
            report.first.append(difference)
        yield difference
