"""A random sample of rows, compared with their documents; what has an event in flight does not count."""

from dataclasses import dataclass, field

from outboxctl.core.database import Database
from outboxctl.core.projections import in_force
from outboxctl.domain.errors import OutboxctlError, UnreachableError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection.known import named, search_index_unused, source_of
from outboxctl.operations.projection.parts import there
from outboxctl.operations.verify.compare import SIZE, review
from outboxctl.operations.verify.model import Sides
from outboxctl.sink.index.named import look
from outboxctl.sink.index.scan import reader_of
from outboxctl.sink.transport.client import Client


@dataclass
class Drift:
    """How many rows were compared, the ids that differ, and by projection why some could not be compared."""

    sampled: int = 0
    differing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def drift(database: Database, client: Client, index: str, size: int) -> Drift:
    """Compare about `size` random rows of all projections in use with their documents.

    `index` is that of the built-in one. Raises UnreachableError if the database or the sink is unreachable.
    Where the built-in projection is the only one, what is wrong with its index is raised, too.
    """
    with database.begin() as connection:
        used = [] if search_index_unused(connection) else [named(connection, PROJECTION, index)]
        projections, found = [*used, *in_force.declared(connection)], Drift()
    for projection in projections:
        try:
            parts = there(client, projection)
            for part in parts:
                _compare(database, client, part, max(1, size // len(projections) // len(parts)), found)
        except OutboxctlError as error:
            if [projection] == used == projections:
                raise
            if isinstance(error, UnreachableError):
                _raise_if_away(database, client, projection)
            found.problems.append(f"projection {projection.label} could not be compared: {error}")
    return found


def _compare(database: Database, client: Client, projection: Projection, size: int, found: Drift) -> None:
    source, reader = source_of(projection), reader_of(client, projection.index, projection)
    reader.check_unchanged()  # looks at the index without a sample, too
    ids = source.sample(database, size)
    sides = Sides(database, reader, source, content=not source.versioned)
    for start in range(0, len(ids), SIZE):
        some = ids[start : start + SIZE]
        found.differing += [each.id for each in review(sides, some) if not each.in_flight]
        found.sampled += len(some)


def _raise_if_away(database: Database, client: Client, projection: Projection) -> None:
    """Raise UnreachableError where an end is away, and not this index alone."""
    with database.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    look(client, projection.everywhere)
