"""What `verify` compares: search_index and its index, and each declared projection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from outboxctl.cli.guards import warn_superuser
from outboxctl.core.database import Database
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.projections import in_force
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.errors import InconclusiveError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection import parts
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

CORRECT = (
    "correct these rows (`outboxctl failed list --projection {name}`), then"
    " `outboxctl replay --projection {name}`"
)
FOREIGN = "rows belong into indexes that do not say that they are of {name}: {indexes}"


@dataclass(frozen=True)
class Target:
    """A source of documents and its index; `why_not`: it cannot be compared; `fix`: what to do."""

    database: Database
    reader: Reader
    source: DocumentSource
    why_not: str = ""
    fix: str = ""

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
        self._comparable()
        return survey(self.database, self.reader, self.source, **more)

    def foresee(self, differences: Iterable[Any], *, remove_foreign: bool) -> Repaired:
        """What a repair would do."""
        return foresee(differences, versioned=self.source.versioned, remove_foreign=remove_foreign)

    def repair(self, who: dict[str, str], *, remove_foreign: bool) -> Repair:
        """A repair that has not begun."""
        self._comparable()
        mender = Mender(self.reader.client, self.reader.shape.name)
        given: dict[str, Any] = {
            "remove_foreign": remove_foreign,
            "check": self.reader.check_unchanged,
            **who,
        }
        return Repair(self.database, mender, self.source, **given)

    def _comparable(self) -> None:
        if self.why_not:
            raise InconclusiveError(self.why_not, hint=self.fix)


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
    found = [each for one in chosen for each in _parts(database, client, one)]
    return ChosenTargets(found, skipped)


def _parts(database: Database, client: Client, projection: Projection) -> list[Target]:
    """What is compared of a projection, index by index; last, where rows are in none, why not all is."""
    try:
        with database.begin() as connection:
            whole = parts.parts(connection, client, projection)
    except ReadRefusedError as error:
        return [_not_compared(database, client, projection, error.words)]
    found = [Target(database, reader_of(client, each.index, each), source_of(each)) for each in whole.found]
    if nowhere := ", ".join(whole.nowhere):
        why = parts.NOWHERE.format(column=projection.column, values=brief(nowhere, 300))
        found.append(_not_compared(database, client, projection, why, CORRECT.format(name=projection.name)))
    if foreign := ", ".join(whole.foreign):
        why = FOREIGN.format(name=projection.name, indexes=brief(foreign, 300))
        found.append(_not_compared(database, client, projection, why, "rename these indexes"))
    return found


def _not_compared(
    database: Database, client: Client, projection: Projection, why: str, fix: str = ""
) -> Target:
    reader = reader_of(client, projection.index, projection)
    return Target(database, reader, source_of(projection), why, fix)
