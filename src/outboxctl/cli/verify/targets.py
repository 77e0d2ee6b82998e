"""What `verify` compares: search_index and its index, and each declared projection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from outboxctl.core.database import Database
from outboxctl.core.projections import in_force
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection.known import named, search_index_unused
from outboxctl.operations.verify import repair
from outboxctl.operations.verify.model import VerifyReport
from outboxctl.operations.verify.projected import repair as projected
from outboxctl.operations.verify.survey import rows, survey
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import exists
from outboxctl.sink.index.repair import Mender
from outboxctl.sink.index.scan import Reader, RoutedReader
from outboxctl.sink.transport.client import Client


@dataclass(frozen=True)
class Target:
    """The index of one projection; of search_index where that is None."""

    database: Database
    reader: Reader
    projection: Projection | None = None

    @property
    def name(self) -> str:
        """The projection's name, empty for search_index."""
        return self.projection.name if self.projection else ""

    def rows(self) -> int:
        """About how many rows there are to compare."""
        return rows(self.database, self.projection)

    def survey(self, **more: Any) -> VerifyReport:
        """Compare."""
        return survey(self.database, self.reader, self.projection, **more)

    def foresee(self, differences: Iterable[Any], *, remove_foreign: bool) -> repair.Repaired:
        """What a repair would do."""
        foresee = projected.foresee if self.projection else repair.foresee
        return foresee(differences, remove_foreign=remove_foreign)

    def repair(self, who: dict[str, str], *, remove_foreign: bool) -> repair.Repair:
        """A repair that has not begun."""
        mender = Mender(self.reader.client, self.reader.shape.name)
        given: dict[str, Any] = {"database": self.database, "mender": mender, **who}
        given |= {"remove_foreign": remove_foreign, "check": self.reader.check_unchanged}
        if self.projection:
            return projected.ProjectedRepair(**given, projection=self.projection)
        return repair.SearchIndexRepair(**given)


@dataclass(frozen=True)
class ChosenTargets:
    """What is compared; `skipped` says why search_index is not."""

    chosen: Sequence[Target]
    skipped: str = ""


def targets(settings: Settings, database: Database, client: Client, projection: str | None) -> ChosenTargets:
    """What is compared: all, or the one `projection`. UsageError if it is not in force.

    Of all, search_index is left out where projections are in force and nobody uses it: it has neither an
    index, nor rows, nor events.
    """
    with database.begin() as connection:
        if projection is None:
            chosen = in_force.declared(connection)
        else:
            chosen = [named(connection, projection)] if projection != PROJECTION else []
        unused = search_index_unused(connection)
    declared = [_declared(database, client, each) for each in chosen]
    if projection not in {None, PROJECTION}:
        return ChosenTargets(declared)
    index = settings.elastic_index
    if projection is None and declared and unused and not exists(client, index):
        return ChosenTargets(declared, f"not used: no index {index}, no row, no event")
    return ChosenTargets([Target(database, Reader(client, index)), *declared])


def _declared(database: Database, client: Client, projection: Projection) -> Target:
    reader = RoutedReader if projection.routing else Reader
    return Target(database, reader(client, projection.index), projection)
