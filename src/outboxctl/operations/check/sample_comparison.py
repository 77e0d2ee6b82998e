"""A random sample of the source rows, compared with the index; what has an event in flight does not count."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from outboxctl.core.documents.samples import random_entities
from outboxctl.core.documents.table import TableSource
from outboxctl.operations.verify.model import DifferenceKind
from outboxctl.operations.verify.review import Review
from outboxctl.sink.index.scan import Reader

if TYPE_CHECKING:
    from outboxctl.core.database import Database
    from outboxctl.sink.transport.client import Client

CHUNK = 1_000  # documents a request


@dataclass(frozen=True)
class Drift:
    """How many entities were compared, and the ids of the documents that are missing, stale or ahead."""

    sampled: int
    differing: list[str]


def drift(database: "Database", client: "Client", index: str, size: int) -> Drift:
    """Compare about `size` random entities with the documents of `index`, by version.

    Raises UnreachableError if the database or the sink is unreachable, also for an index that is missing.
    """
    with database.begin() as connection:
        chosen = random_entities(connection, size)
    reader = Reader(client, index)
    reader.check_unchanged()  # looks at the index without a sample, too
    review = Review(database, reader, TableSource(), content=False)
    found = [
        each
        for start in range(0, len(chosen), CHUNK)
        for each in review.of(chosen[start : start + CHUNK])
        if not each.in_flight and each.kind is not DifferenceKind.UNREADABLE
    ]
    return Drift(len(chosen), [each.id for each in found])
