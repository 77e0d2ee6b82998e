"""Where the documents of a new index come from: what a rebuild asks of that."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from outboxctl.core.documents.since import Since
from outboxctl.domain.projection import Routing
from outboxctl.sink.delivery.bulk import BulkAction

if TYPE_CHECKING:
    from outboxctl.core.database import Connection, Database
    from outboxctl.sink.transport.client import Client

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


class DocumentSource(Protocol):
    """The documents of one index."""

    @property
    def name(self) -> str:
        """The projection's, empty for search_index."""
        ...

    @property
    def pipeline(self) -> str:
        """The ingest pipeline of its documents, empty for none."""
        ...

    @property
    def routing(self) -> Routing:
        """Where the routing of its documents comes from."""
        ...

    @property
    def definition(self) -> str:
        """A hash of what declares it; empty for search_index."""
        ...

    def require(self, connection: "Connection") -> None:
        """Raise ChangedError where it is declared otherwise by now, or not at all."""
        ...

    def renewed(self, connection: "Connection") -> "DocumentSource | None":
        """The same as it is declared by now; None where this index has none of its documents any more."""
        ...

    def count(self, connection: "Connection") -> int:
        """About how many documents there are."""
        ...

    def pages(self, db: "Database", place: Place, size: int) -> Iterator[DocumentPage]:
        """All documents after a place, in pages of at most `size` and a bounded number of bytes.

        No transaction stays open between two pages.
        """
        ...

    def slow(self, connection: "Connection") -> str:
        """Why reading all documents takes unusually long, and what to do about it; empty if it does not."""
        ...

    def changed(self, db: "Database", since: Since, size: int) -> Iterator[DocumentBatch]:
        """What the events since then are about, as it is now or later; each document at most once."""
        ...

    def differing(
        self,
        db: "Database",
        client: "Client",
        index: str,
        size: int,
        *,
        advance: Callable[[int], object],
        stop: threading.Event,
    ) -> Iterator[DocumentBatch]:
        """What differs in the new index with no event in flight, as it is now."""
        ...
