"""A comparison of a projection as a report."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.documents.entities import failed_keys, require_primary
from outboxctl.core.projections import in_force, pages
from outboxctl.domain.projection import Projection, document_id
from outboxctl.operations.verify.model import Difference, VerifyReport
from outboxctl.operations.verify.projected.compare import compare
from outboxctl.operations.verify.projected.numbers import uncounted
from outboxctl.operations.verify.survey import MOST_FAILED, Act, DifferenceTally
from outboxctl.sink.index.scan import Reader


@dataclass(frozen=True)
class ProjectedSurvey:
    """Compares one projection with its index."""

    database: Database
    reader: Reader
    projection: Projection

    def rows(self) -> int:
        """About how many rows there are to compare."""
        with self.database.begin() as connection:
            return pages.estimate(connection, self.projection)

    def run(
        self,
        *,
        content: bool,
        limit: int,
        advance: Callable[[int], object],
        stop: Event | None = None,
        act: Act | None = None,
    ) -> VerifyReport:
        """Compare (see `compare`), pass every difference that is not in flight to `act`, and report.

        Raises UsageError for a standby, and at the end InconclusiveError if the alias leads to another index
        or another declaration is in force.
        """
        with self.database.begin() as connection:
            require_primary(connection)
            began = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
            keys = failed_keys(connection, self.projection.name, most=MOST_FAILED)
        failed = frozenset(map(document_id, keys))
        tally = DifferenceTally(limit, failed)
        differences = compare(
            self.database,
            self.reader,
            self.projection,
            content=content,
            census=tally.census,
            advance=advance,
            stop=stop,
        )

        def every() -> Iterator[Difference]:
            yield from differences
            if not (tally.differences or tally.in_flight or (stop and stop.is_set())):
                yield from uncounted(self.database, self.projection, tally.census, began)

        (act or deque[Difference](maxlen=0).extend)(tally.count(every()))
        self.reader.check_unchanged()
        with self.database.begin() as connection:
            in_force.require(connection, self.projection)
        return tally.report(self.projection.name, self.reader.shape.index, content=content)
