"""What is sent to a new index: the documents of a source in batches, whatever the source."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any, NamedTuple

from outboxctl.core.database import Database
from outboxctl.core.documents.rows import ChangedKey, SourcePage, SourceRow, row_of
from outboxctl.core.documents.since import Since
from outboxctl.core.documents.source import DocumentSource, PageOptions
from outboxctl.core.produce import MAX_VERSION
from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import Reason
from outboxctl.sink.delivery.bulk import BulkAction, RawActions

Part = dict[str, Any] | None  # the mappings or the settings of a new index; None: those of the old one
MEMORY = 8_000_000  # bytes of JSON: some 100,000 keys
PAGE_BYTES = 4_000_000  # of documents, in a page of several
BEHIND = "the index holds a higher version"
WENT_BACK = f"{BEHIND} than the row's {{column}}, {{held}}: `outboxctl rebuild` fills an index without it"


@dataclass(frozen=True)
class Refused:
    """A document that the new index does not take, or that cannot be read."""

    id: str
    reason: str
    error: str

    @property
    def behind(self) -> bool:
        """Whether the index holds a higher version than the row, with another document."""
        return self.error.startswith(BEHIND)


class DocumentBatch(NamedTuple):
    """What is sent at once, and documents that cannot be sent; `read`: rows that were read for it.

    `place`: of a fill, the key where it ends; `ids` the `_id` of each key, where a column chooses the index.
    """

    actions: Sequence[BulkAction]
    refused: list[Refused]
    read: int
    place: str | None = None
    ids: Sequence[tuple[str, str]] = ()


def pages(source: DocumentSource, db: Database, place: str | None, size: int) -> Iterator[DocumentBatch]:
    """All documents behind a place; they stay as the server wrote them."""
    read = source.pages(db, place, PageOptions(size, PAGE_BYTES))
    return (_raw_batch(each, source.projection.version) for each in read)


def changed(source: DocumentSource, db: Database, since: Since, size: int) -> Iterator[DocumentBatch]:
    """The documents of events, or their deletes, read after the events."""
    with ExitStack() as stack:
        with db.begin() as connection:
            keys = stack.enter_context(spooled(source.changed(connection, since, size=size)))
        for some in keys:
            yield from again(source, db, [ChangedKey(*each) for each in some])


def _raw_batch(page: SourcePage, column: str) -> DocumentBatch:
    """What is sent of rows, and those whose version cannot be."""
    good = [each for each in page.rows if each[1].isdigit()]
    refused = list[Refused]()
    if len(good) < len(page.rows):
        refused = [_refused_row(row_of(each), column) for each in page.rows if not each[1].isdigit()]
    return DocumentBatch(RawActions(good), refused, page.read, page.place, page.ids)


def _refused_row(row: SourceRow, column: str) -> Refused:
    if row.error:
        return Refused(row.key, Reason.BAD_DOCUMENT, row.error)
    return _no_version(row.key, row.version, column)


def _no_version(id_: str, version: object, column: str) -> Refused:
    error = f"the row's {column} is not in 0..2^63-1: {version}"
    return Refused(id_, Reason.DETERMINISTIC_EXCEPTION, error)


def again(source: DocumentSource, db: Database, keys: Sequence[ChangedKey]) -> Iterator[DocumentBatch]:
    """What is sent of these keys, as they are now."""
    by_key = {each.key: each for each in keys}
    for part in source.each(db, [*by_key], lambda some: source.current(db, some)):
        read = [(by_key[each.key], each) for each in part]
        yield batch(read, source)


def batch(entities: Sequence[tuple[ChangedKey, SourceRow]], source: DocumentSource) -> DocumentBatch:
    """What is sent of keys with what they have now, and what cannot be sent.

    One without a row is deleted; where rows have versions of their own at the newest that is known.
    """
    actions, refused = list[BulkAction](), list[Refused]()
    versioned, column = source.versioned, source.projection.version
    for changed_key, found in entities:
        id_ = source.projection.id_of(found.key)
        gone = found.text is None
        version = found.version
        if gone and (versioned or column):
            version = changed_key.newest if versioned else changed_key.newest or 0
        if found.error:
            refused.append(Refused(id_, Reason.BAD_DOCUMENT, found.error))
        elif not (gone or changed_key.moved):
            continue
        elif version is not None and 0 <= version <= MAX_VERSION:
            actions.append(BulkAction(id_, version, found.text, found.routing))
        elif not gone:
            refused.append(_no_version(id_, version, column))
    return DocumentBatch(actions, refused, len(actions) + len(refused))


@contextmanager
def spooled(pages: Iterable[Sequence[Any]]) -> Iterator[Iterator[list[Any]]]:
    """All pages, read at once; within the block they come again, as lists of what JSON makes of their items.

    The file has no name, so that nothing is left of it by a process that is killed. Raises UsageError where
    there is no room for it.
    """
    with SpooledTemporaryFile(MEMORY, mode="w+", encoding="ascii") as file:
        try:
            file.writelines(f"{json.dumps(page)}\n" for page in pages)
            file.seek(0)
        except OSError as error:
            raise UsageError(
                f"the keys of changed documents cannot be kept in {gettempdir()}: {error.strerror}",
                hint="make room there, or name another folder in TMPDIR; `outboxctl rebuild` goes on then",
            ) from error
        yield map(json.loads, file)
