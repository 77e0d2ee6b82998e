"""The documents of a new index, in batches and pages; they come from one of two sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from outboxctl.sink.delivery.bulk import BulkAction

if TYPE_CHECKING:
    from typing import TypeAlias

    from outboxctl.operations.rebuild.projected import ProjectionSource
    from outboxctl.operations.rebuild.search_index import SearchIndex

    DocumentSource: TypeAlias = SearchIndex | ProjectionSource

PAGE_BYTES = 4_000_000  # of documents, in a page of several
Place = Mapping[str, str | None]  # how far an index is filled: columns of the rebuild's row


@dataclass(frozen=True)
class Refused:
    """A document that the new index does not take, or that cannot be read."""

    id: str
    reason: str
    error: str


class DocumentBatch(NamedTuple):
    """What is sent at once, and documents that cannot be sent; `read`: entities that were read for it."""

    actions: Sequence[BulkAction]
    refused: list[Refused]
    read: int


class DocumentPage(NamedTuple):
    """A page of the source, and the place where it ends."""

    batch: DocumentBatch
    place: Place
