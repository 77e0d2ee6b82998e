"""The source of the built-in index: the rows of search_index."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING

from outboxctl.core.documents import readable, source_rows, source_stream
from outboxctl.core.documents.since import Since
from outboxctl.core.documents.source_rows import ChangedKey, SourceEntity
from outboxctl.core.documents.source_stream import RawDocument
from outboxctl.core.produce import MAX_VERSION
from outboxctl.core.schema.names import SOURCE
from outboxctl.domain.failures import Reason
from outboxctl.domain.projection import Routing
from outboxctl.operations.rebuild.source import (
    PAGE_BYTES,
    DocumentBatch,
    DocumentPage,
    Place,
    Refused,
    spooled,
)
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Difference, DifferenceKind, key_of
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.raw import RawActions
from outboxctl.sink.index.scan import Reader

if TYPE_CHECKING:
    from outboxctl.core.database import Connection, Database
    from outboxctl.sink.transport.client import Client

# No event can have been missed where the index is ahead; and content follows the version.
SENT_AGAIN = {DifferenceKind.MISSING, DifferenceKind.STALE, DifferenceKind.EXTRA}

NO_INDEX = (
    f"{SOURCE} has no unique index on (entity_type, entity_id): all rows are sorted for each"
    f" {source_stream.CHUNK_ROWS:,} of them. `outboxctl doctor` says how to make one"
)


class SearchIndex:
    """Pages in key order; versions are those of the rows."""

    name = pipeline = definition = ""
    routing = Routing.NONE

    def require(self, connection: "Connection") -> None:
        """Nothing: it is built in."""

    def renewed(self, connection: "Connection") -> "SearchIndex":  # noqa: ARG002 - of the interface
        """Itself."""
        return self

    def count(self, connection: "Connection") -> int:
        """How many entities there are."""
        return source_rows.count(connection)

    def pages(self, db: "Database", place: Place, size: int) -> Iterator[DocumentPage]:
        """All rows in the order of the unique index; the documents stay as the server wrote them."""
        kind, id_ = place["cursor_type"], place["cursor_id"]
        after = None if kind is None or id_ is None else (kind, id_)
        for documents in source_stream.pages(db, after, size=size, most=PAGE_BYTES):
            kind, id_ = source_stream.key_of(documents[-1][0])
            yield DocumentPage(_raw_batch(documents), {"cursor_type": kind, "cursor_id": id_})

    def slow(self, connection: "Connection") -> str:
        """Whether there is an index in whose order the rows can be read."""
        return NO_INDEX if source_stream.sorts(connection) else ""

    def changed(self, db: "Database", since: Since, size: int) -> Iterator[DocumentBatch]:
        """The entities of events; a row that is gone becomes a delete at its newest version."""
        with ExitStack() as stack:
            with db.begin() as connection:
                keys = stack.enter_context(spooled(source_rows.changed(connection, since, size=size)))
            for some in keys:
                yield _named(db, some)

    def differing(
        self,
        db: "Database",
        client: "Client",
        index: str,
        size: int,
        *,
        advance: Callable[[int], object],
        stop: Event,
    ) -> Iterator[DocumentBatch]:
        """What differs by version."""
        differences = compare(db, Reader(client, index), content=False, advance=advance, stop=stop)
        return _again(db, _sent_again(differences), size)


def _raw_batch(documents: Sequence[RawDocument]) -> DocumentBatch:
    """What is sent of rows, and those whose version cannot be."""
    good = [each for each in documents if each[1].isdigit()]
    refused = []
    if len(good) < len(documents):
        refused = [_refused_raw(each) for each in documents if not each[1].isdigit()]
    return DocumentBatch(RawActions(good), refused, len(documents))


def _refused_raw(row: RawDocument) -> Refused:
    id_, version, document = row
    name = ":".join(source_stream.key_of(id_))
    if version == source_stream.UNREADABLE:
        return Refused(name, Reason.BAD_DOCUMENT, document.decode(errors="replace"))
    return _refused(name, version.decode() or None)


def _refused(id_: str, version: object) -> Refused:
    error = f"the row's event_version is not in 0..2^63-1: {version}"
    return Refused(id_, Reason.DETERMINISTIC_EXCEPTION, error)


def batch(entities: Sequence[SourceEntity]) -> DocumentBatch:
    """What is sent of entities."""
    return DocumentBatch(*prepare(entities), len(entities))


def prepare(entities: Sequence[SourceEntity]) -> tuple[list[BulkAction], list[Refused]]:
    """What is sent, and what cannot be; an entity without a row is deleted at its newest known version."""
    actions, refused = [], []
    for entity in entities:
        id_ = f"{entity.entity_type}:{entity.entity_id}"
        version = entity.newest if entity.document is None else entity.version
        if version is not None and 0 <= version <= MAX_VERSION:
            actions.append(BulkAction(id_, version, entity.document))
        elif entity.document is not None:
            refused.append(_refused(id_, version))
    return actions, refused


def _again(db: "Database", keys: Iterator[tuple[str, str, int]], size: int) -> Iterator[DocumentBatch]:
    while some := list(islice(keys, size)):
        yield _named(db, some)


def _named(db: "Database", keys: Sequence[ChangedKey]) -> DocumentBatch:
    """What is sent of these entities, as they are now."""
    entities, refused = list[SourceEntity](), list[Refused]()
    for some, found in readable.named(db, keys):
        if isinstance(found, str):
            refused.append(Refused(":".join(some[0][:2]), Reason.BAD_DOCUMENT, found))
        else:
            entities += found
    sent = batch(entities)
    return sent._replace(refused=sent.refused + refused, read=len(keys))


def _sent_again(differences: Iterator[Difference]) -> Iterator[tuple[str, str, int]]:
    """Type, id, and the version of a delete in case that the row is gone."""
    for each in differences:
        key = key_of(each.id)
        if each.kind in SENT_AGAIN and key and not each.in_flight:
            version = each.source_version if each.index_version is None else each.index_version
            yield (*key, version or 0)
