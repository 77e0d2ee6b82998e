"""What `verify` compares: search_index and its index, and each declared projection."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from outboxctl.core.database import Database
from outboxctl.core.projections import in_force
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection import parts
from outboxctl.operations.projection.known import chosen as several
from outboxctl.operations.projection.known import search_index_unused, source_of
from outboxctl.operations.verify.model import Sides
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import exists
from outboxctl.sink.index.scan import reader_of
from outboxctl.sink.transport.client import Client

CORRECT = (
    "correct these rows (`outboxctl failed list --projection {name}`), then"
    " `outboxctl replay --projection {name}`"
)
FOREIGN = "rows belong into indexes that do not say that they are of {name}: {indexes}"


@dataclass(frozen=True)
class Target:
    """A source of documents and its index; `why_not`: it cannot be compared; `fix`: what to do."""

    sides: Sides
    why_not: str = ""
    fix: str = ""

    @property
    def name(self) -> str:
        """The projection's name, empty for search_index."""
        return self.sides.source.projection.name


def targets(
    settings: Settings, database: Database, client: Client, projection: str | None, *, content: bool
) -> tuple[list[Target], str]:
    """What is compared: all, or what `projection` chooses. UsageError if it is not in force.

    Of all, search_index is left out where projections are in force and nobody uses it: it has neither an
    index, nor rows, nor events. The text says so.
    """
    index, skipped = settings.elastic_index, ""
    with database.begin() as connection:
        chosen = several(connection, projection or PROJECTION, index)
        if projection is None:
            chosen += in_force.declared(connection)
        unused = search_index_unused(connection)
    if projection is None and unused and not exists(client, index):
        chosen, skipped = chosen[1:], f"not used: no index {index}, no row, no event"

    def sides(part: Projection) -> Sides:
        return Sides(database, reader_of(client, part.index, part), source_of(part), content)

    return [each for one in chosen for each in _parts(database, client, one, sides)], skipped


def _parts(
    database: Database, client: Client, projection: Projection, sides: Callable[[Projection], Sides]
) -> Iterator[Target]:
    """What is compared of a projection, index by index; last, where rows are in none, why not all is."""
    try:
        with database.begin() as connection:
            whole = parts.parts(connection, client, projection)
    except ReadRefusedError as error:
        yield Target(sides(projection), error.words)
        return
    yield from (Target(sides(each)) for each in whole.found)
    if nowhere := ", ".join(whole.nowhere):
        why = parts.NOWHERE.format(column=projection.column, values=brief(nowhere, 300))
        yield Target(sides(projection), why, CORRECT.format(name=projection.name))
    if foreign := ", ".join(whole.foreign):
        why = FOREIGN.format(name=projection.name, indexes=brief(foreign, 300))
        yield Target(sides(projection), why, "rename these indexes")
