"""What `verify` compares: search_index and its index, and each declared projection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from outboxctl.core.database import Database
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.table import TableSource
from outboxctl.core.documents.view import ViewSource
from outboxctl.core.projections import in_force
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.operations.projection.known import named, search_index_unused
from outboxctl.operations.verify.model import VerifyReport
from outboxctl.operations.verify.repair import Repair, Repaired, foresee
from outboxctl.operations.verify.survey import survey
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import exists
from outboxctl.sink.index.repair import Mender
from outboxctl.sink.index.scan import Reader, reader_of
from outboxctl.sink.transport.client import Client


@dataclass(frozen=True)
class Target:
    """A source of documents and its index."""

    database: Database
    reader: Reader
    source: DocumentSource

    @property
    def name(self) -> str:
        """The projection's name, empty for search_index."""
        return self.source.projection.name

    def rows(self) -> int:
        """About how many rows there are to compare."""
        with self.database.begin() as connection:
            return self.source.count(connection)

    def survey(self, **more: Any) -> VerifyReport:
        """Compare."""
        return survey(self.database, self.reader, self.source, **more)

    def foresee(self, differences: Iterable[Any], *, remove_foreign: bool) -> Repaired:
        """What a repair would do."""
        return foresee(differences, versioned=self.source.versioned, remove_foreign=remove_foreign)

    def repair(self, who: dict[str, str], *, remove_foreign: bool) -> Repair:
        """A repair that has not begun."""
        mender = Mender(self.reader.client, self.reader.shape.name)
        given: dict[str, Any] = {
            "remove_foreign": remove_foreign,
            "check": self.reader.check_unchanged,
            **who,
        }
        return Repair(self.database, mender, self.source, **given)


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
    sources = map(ViewSource, chosen)
    declared = [
        Target(database, reader_of(client, each.projection.index, each.routing), each) for each in sources
    ]
    if projection not in {None, PROJECTION}:
        return ChosenTargets(declared)
    index = settings.elastic_index
    if projection is None and declared and unused and not exists(client, index):
        return ChosenTargets(declared, f"not used: no index {index}, no row, no event")
    return ChosenTargets([Target(database, Reader(client, index), TableSource()), *declared])
