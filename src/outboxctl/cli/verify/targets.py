"""What `verify` compares: search_index and its index, and each declared projection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from outboxctl.core.database import Database
from outboxctl.core.documents import source_rows
from outboxctl.core.projections import choosing
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection.known import named, search_index_unused
from outboxctl.operations.verify import repair
from outboxctl.operations.verify.model import VerifyReport
from outboxctl.operations.verify.projected import repair as projected
from outboxctl.operations.verify.projected.survey import ProjectedSurvey
from outboxctl.operations.verify.survey import survey
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import exists
from outboxctl.sink.index.repair import Mender
from outboxctl.sink.index.scan import Reader, RoutedReader
from outboxctl.sink.transport.client import Client


@dataclass(frozen=True)
class SearchIndexTarget:
    """search_index."""

    database: Database
    reader: Reader
    name: str = ""

    def rows(self) -> int:
        """How many rows there are to compare."""
        with self.database.begin() as connection:
            return source_rows.count(connection)

    def survey(self, **more: Any) -> VerifyReport:
        """Compare."""
        return survey(self.database, self.reader, **more)

    def foresee(self, differences: Iterable[Any], *, remove_foreign: bool) -> repair.Repaired:
        """What a repair would do."""
        return repair.foresee(differences, remove_foreign=remove_foreign)

    def repair(self, who: dict[str, str], *, remove_foreign: bool) -> repair.SearchIndexRepair:
        """A repair that has not begun."""
        mender, check = Mender(self.reader.client, self.reader.shape.index), self.reader.check_unchanged
        return repair.SearchIndexRepair(
            self.database, mender, who["by"], who["reason"], remove_foreign=remove_foreign, check=check
        )


@dataclass(frozen=True)
class DeclaredTarget:
    """One projection."""

    database: Database
    reader: Reader
    projection: Projection

    @property
    def name(self) -> str:
        """The projection's name."""
        return self.projection.name

    def rows(self) -> int:
        """About how many rows there are to compare."""
        return ProjectedSurvey(self.database, self.reader, self.projection).rows()

    def survey(self, **more: Any) -> VerifyReport:
        """Compare."""
        return ProjectedSurvey(self.database, self.reader, self.projection).run(**more)

    def foresee(self, differences: Iterable[Any], *, remove_foreign: bool) -> repair.Repaired:
        """What a repair would do."""
        return projected.foresee(differences, remove_foreign=remove_foreign)

    def repair(self, who: dict[str, str], *, remove_foreign: bool) -> projected.ProjectedRepair:
        """A repair that has not begun."""
        mender, check = Mender(self.reader.client, self.reader.shape.index), self.reader.check_unchanged
        more: dict[str, Any] = {"remove_foreign": remove_foreign, "check": check}
        return projected.ProjectedRepair(
            self.database, mender, who["by"], who["reason"], **more, projection=self.projection
        )


Target = SearchIndexTarget | DeclaredTarget


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
            chosen = choosing.declared(connection)
        else:
            chosen = [named(connection, projection)] if projection != PROJECTION else []
        unused = search_index_unused(connection)
    declared = [_declared(database, client, each) for each in chosen]
    if projection not in {None, PROJECTION}:
        return ChosenTargets(declared)
    index = settings.elastic_index
    if projection is None and declared and unused and not exists(client, index):
        return ChosenTargets(declared, f"not used: no index {index}, no row, no event")
    return ChosenTargets([SearchIndexTarget(database, Reader(client, index)), *declared])


def _declared(database: Database, client: Client, projection: Projection) -> DeclaredTarget:
    reader = RoutedReader if projection.routing else Reader
    return DeclaredTarget(database, reader(client, projection.index), projection)
