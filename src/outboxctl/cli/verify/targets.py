"""What `verify` compares: search_index and its index, and each declared projection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outboxctl.core.database import Database
    from outboxctl.domain.projection import Projection
    from outboxctl.operations.verify.model import VerifyReport
    from outboxctl.operations.verify.projected.repair import ProjectedRepair
    from outboxctl.operations.verify.projected.survey import ProjectedSurvey
    from outboxctl.operations.verify.repair import Repaired, SearchIndexRepair
    from outboxctl.settings import Settings
    from outboxctl.sink.index.scan import Reader
    from outboxctl.sink.transport.client import Client


@dataclass(frozen=True)
class SearchIndexTarget:
    """search_index."""

    database: "Database"
    reader: "Reader"
    name: str = ""

    def rows(self) -> int:
        """How many rows there are to compare."""
        from outboxctl.core.documents import entities

        with self.database.begin() as connection:
            return entities.count(connection)

    def survey(self, **more: Any) -> "VerifyReport":
        """Compare."""
        from outboxctl.operations.verify.survey import survey

        return survey(self.database, self.reader, **more)

    def foresee(self, differences: Iterable[Any], *, remove_foreign: bool) -> "Repaired":
        """What a repair would do."""
        from outboxctl.operations.verify.repair import foresee

        return foresee(differences, remove_foreign=remove_foreign)

    def repair(self, who: dict[str, str], *, remove_foreign: bool) -> "SearchIndexRepair":
        """A repair that has not begun."""
        from outboxctl.operations.verify.repair import SearchIndexRepair
        from outboxctl.sink.index.repair import Mender

        mender, check = Mender(self.reader.client, self.reader.shape.index), self.reader.check_unchanged
        return SearchIndexRepair(self.database, mender, who["by"], who["reason"], remove_foreign, check)


@dataclass(frozen=True)
class DeclaredTarget:
    """One projection."""

    database: "Database"
    reader: "Reader"
    projection: "Projection"

    @property
    def name(self) -> str:
        """The projection's name."""
        return self.projection.name

    @property
    def _survey(self) -> "ProjectedSurvey":
        from outboxctl.operations.verify.projected.survey import ProjectedSurvey

        return ProjectedSurvey(self.database, self.reader, self.projection)

    def rows(self) -> int:
        """About how many rows there are to compare."""
        return self._survey.rows()

    def survey(self, **more: Any) -> "VerifyReport":
        """Compare."""
        return self._survey.run(**more)

    def foresee(self, differences: Iterable[Any], *, remove_foreign: bool) -> "Repaired":
        """What a repair would do."""
        from outboxctl.operations.verify.projected.repair import foresee

        return foresee(differences, remove_foreign=remove_foreign)

    def repair(self, who: dict[str, str], *, remove_foreign: bool) -> "ProjectedRepair":
        """A repair that has not begun."""
        from outboxctl.operations.verify.projected.repair import ProjectedRepair
        from outboxctl.sink.index.repair import Mender

        mender, check = Mender(self.reader.client, self.reader.shape.index), self.reader.check_unchanged
        return ProjectedRepair(
            self.database,
            mender,
            who["by"],
            who["reason"],
            remove_foreign,
            check,
            projection=self.projection,
        )


Target = SearchIndexTarget | DeclaredTarget


@dataclass(frozen=True)
class ChosenTargets:
    """What is compared; `skipped` says why search_index is not."""

    chosen: Sequence[Target]
    skipped: str = ""


def targets(
    settings: "Settings", database: "Database", client: "Client", projection: str | None
) -> ChosenTargets:
    """What is compared: all, or the one `projection`. UsageError if it is not in force.

    Of all, search_index is left out where projections are in force and nobody uses it: it has neither an
    index, nor rows, nor events.
    """
    from outboxctl.core.projections import choosing
    from outboxctl.domain.lifecycle import PROJECTION
    from outboxctl.operations.projection.known import named
    from outboxctl.sink.index.scan import Reader

    with database.begin() as connection:
        if projection is None:
            chosen = choosing.declared(connection)
        else:
            chosen = [named(connection, projection)] if projection != PROJECTION else []
    declared = [_declared(database, client, each) for each in chosen]
    if projection not in {None, PROJECTION}:
        return ChosenTargets(declared)
    if projection is None and declared and not _in_use(settings, database, client):
        return ChosenTargets(declared, f"not used: no index {settings.elastic_index}, no row, no event")
    return ChosenTargets([SearchIndexTarget(database, Reader(client, settings.elastic_index)), *declared])


def _declared(database: "Database", client: "Client", projection: "Projection") -> DeclaredTarget:
    from outboxctl.sink.index.scan import Reader, RoutedReader

    reader = RoutedReader if projection.routing else Reader
    return DeclaredTarget(database, reader(client, projection.index), projection)


def _in_use(settings: "Settings", database: "Database", client: "Client") -> bool:
    from outboxctl.operations.projection.known import search_index_unused
    from outboxctl.sink.index.index_setup import exists

    if exists(client, settings.elastic_index):
        return True
    with database.begin() as connection:
        return not search_index_unused(connection)
