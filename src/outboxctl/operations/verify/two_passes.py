"""Comparing by ids, in two passes: each row's document, then each document's row."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Event
from typing import TypeVar

from outboxctl.operations.verify.lanes import in_lanes
from outboxctl.operations.verify.model import Census
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.index.scanned import ScannedDocument

Page = TypeVar("Page", bound=Sequence[object])
Suspect = TypeVar("Suspect")


def two_passes(
    pages: Iterable[Page],
    examine: Callable[[Page], tuple[int, Sequence[Suspect]]],
    reader: Reader,
    without_row: Callable[[Sequence[ScannedDocument]], Sequence[Suspect]],
    *,
    census: Census,
    advance: Callable[[int], object],
    stop: Event,
) -> Iterator[Suspect]:
    """What differs at the first reading. No order of keys is needed, and a few pages are in memory.

    `examine` returns how many rows a page has and which of its keys differ, `without_row` which documents of
    a page have none. After `stop` no page is begun.
    """
    with in_lanes(examine, pages) as examined:
        for page, (rows, suspects) in examined:
            yield from suspects
            census.rows += rows
            advance(len(page))
            if stop.is_set():
                return
    with in_lanes(without_row, reader.everything()) as examined_documents:
        for documents, suspects in examined_documents:
            yield from suspects
            census.documents += len(documents)
            if stop.is_set():
                return
