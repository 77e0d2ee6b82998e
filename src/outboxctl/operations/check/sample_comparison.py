"""A random sample of the source rows, compared with the index; what has an event in flight does not count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outboxctl.core.documents import samples
from outboxctl.core.documents.samples import SampledEntity
from outboxctl.sink.index.index_setup import versions

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from outboxctl.core.database import Connection
    from outboxctl.sink.transport.client import Client

    Begin = Callable[[], AbstractContextManager[Connection]]

CHUNK = 1_000  # documents a request
NO_ENTITY = "nobody"  # an id of no entity: looked up so that a missing index is noticed without a sample, too


@dataclass(frozen=True)
class Drift:
    """How many entities were compared, and the ids of the documents that are missing, stale or ahead."""

    sampled: int
    differing: list[str]


def drift(begin: "Begin", client: "Client", index: str, size: int) -> Drift:
    """Compare about `size` random entities with the documents of `index`, by version.

    What differs and has no event in flight is read again, and counts if its source row has not changed
    meanwhile. Raises UnreachableError if the database or the sink is unreachable.
    """
    with begin() as connection:
        chosen = samples.random_entities(connection, size)
    versions(client, index, [NO_ENTITY])
    suspects = _differing(client, index, chosen)
    if suspects:
        suspects = _differing(client, index, _settled(begin, suspects))
    if suspects:
        after = set(_settled(begin, suspects))
        suspects = [entity for entity in suspects if entity in after]
    return Drift(len(chosen), [entity.document_id for entity in suspects])


def _settled(begin: "Begin", entities: Sequence[SampledEntity]) -> list[SampledEntity]:
    with begin() as connection:
        return samples.settled_entities(connection, entities)


def _differing(client: "Client", index: str, entities: Sequence[SampledEntity]) -> list[SampledEntity]:
    held: dict[str, int | None] = {}
    for start in range(0, len(entities), CHUNK):
        ids = [entity.document_id for entity in entities[start : start + CHUNK]]
        held |= versions(client, index, ids)
    return [entity for entity in entities if held[entity.document_id] != entity.version]
