"""What `verify` compares: search_index and its index, and each declared projection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from outboxctl.cli.guards import warn_superuser
from outboxctl.core.database import Database
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.projections import in_force
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.operations.projection.known import chosen as several
from outboxctl.operations.projection.known import search_index_unused, source_of
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
    """What is compared: all, or what `projection` chooses. UsageError if it is not in force.

    Of all, search_index is left out where projections are in force and nobody uses it: it has neither an
    index, nor rows, nor events.
    """
    index, skipped = settings.elastic_index, ""
    with database.begin() as connection:
        chosen = several(connection, projection or PROJECTION, index)
        if projection is None:
            chosen += in_force.declared(connection)
        unused = search_index_unused(connection)
        warn_superuser(connection, chosen)
    if projection is None and unused and not exists(client, index):
        chosen, skipped = chosen[1:], f"not used: no index {index}, no row, no event"
    found = [Target(database, reader_of(client, each.index, each), source_of(each)) for each in chosen]
    return ChosenTargets(found, skipped)
