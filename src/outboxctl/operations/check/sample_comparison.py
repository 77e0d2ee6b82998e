"""A sample of the source, held against the index; what is under way is no difference."""

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
NOBODY = "nobody"  # no entity's id: asked for where there is none, so that an index that is away is noticed


@dataclass(frozen=True)
class Drift:
    """How many entities were compared, and the ids of the documents that are missing, stale or ahead."""

    sampled: int
    differing: list[str]


def drift(begin: "Begin", client: "Client", index: str, size: int) -> Drift:
    """Compare about `size` random entities with the documents of `index`, by version.

    What differs is looked at again once no event of it is under way, and counts if its source row has
    not changed meanwhile. Raises UnreachableError if either end is away.
    """
    with begin() as connection:
        chosen = samples.random_entities(connection, size)
    versions(client, index, [NOBODY])
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
    found: dict[str, int | None] = {}
    for start in range(0, len(entities), CHUNK):
        ids = [entity.document_id for entity in entities[start : start + CHUNK]]
        found |= versions(client, index, ids)
    return [entity for entity in entities if found[entity.document_id] != entity.version]
