"""The documents of a new index, in batches and pages; they come from one of two sources."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any, NamedTuple

from outboxctl.domain.errors import UsageError
from outboxctl.sink.delivery.bulk import BulkAction

MEMORY = 8_000_000  # bytes of JSON: some 100,000 keys
PAGE_BYTES = 4_000_000  # of documents, in a page of several
Part = dict[str, Any] | None  # the mappings or the settings of a new index; None: those of the old one
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
