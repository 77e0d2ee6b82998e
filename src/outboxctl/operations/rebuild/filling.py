"""Filling the new index with all source rows in key order, comparing both, and sending what differs."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from time import monotonic

from outboxctl.core.documents.rows import ChangedKey
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.operator.rebuilds import Rebuild, RebuildPhase
from outboxctl.domain.errors import OutboxctlError
from outboxctl.operations.rebuild.model import RebuildInterrupted, Tools
from outboxctl.operations.rebuild.sending import Sender, collect, sent
from outboxctl.operations.rebuild.source import DocumentBatch, Refused, again, pages
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import SENT_AGAIN, Difference, DifferenceKind, Sides
from outboxctl.sink.index.scan import reader_of

UNREACHED = (
    "{rows:,} rows of {view} have a key that no row of the root has, and are in no new index:"
    " outboxctl verify lists them"
)
SAVED_EVERY = 1.0  # seconds: what was sent since is sent again by a process that goes on


def fill(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Copy what has not been copied; the place up to which all is acknowledged is saved each second.

    Raises DocumentsRefusedError, UnreachableError or RebuildInterrupted; what was saved stays valid.
    """
    tools.advance(rebuild.copied)
    filled = FillProgress(tools, rebuild)
    begun, place = rebuild.place or ("", None)
    try:
        for each in tools.each():
            if (name := each.source.projection.name) >= begun and not tools.stop.is_set():
                _fill_from(each, rebuild.new_index, filled, place if name == begun else None)
    except BaseException:
        with suppress(OutboxctlError):  # what has failed may be the database
            filled.save()
        raise
    row = filled.save()
    return row if tools.stop.is_set() else tools.save(row, phase=RebuildPhase.CATCH_UP)


def _fill_from(tools: Tools, index: str, filled: "FillProgress", place: str | None) -> None:
    """Copy what one source has behind this key."""
    # A document whose routing changes meanwhile is sent again when the rebuild catches up.
    sender = Sender(tools, index, once=True, gives_way=True)
    read = pages(tools.source, tools.db, place, tools.size)
    with sent(read, sender.send, tools.stop) as results:
        for batch, refused in results:
            filled.add(tools.source.projection.name, batch, refused)
            tools.advance(batch.read)


class FillProgress:
    """How far the index is filled: up to a page that is in it with all before it."""

    def __init__(self, tools: Tools, rebuild: Rebuild, *, clock: Callable[[], float] = monotonic) -> None:
        self._tools, self._row, self._clock = tools, rebuild, clock
        self._place = rebuild.place
        self._copied, self._refused = rebuild.copied, rebuild.refused
        self._saves_at = clock()

    def add(self, name: str, page: DocumentBatch, refused: list[Refused]) -> None:
        """Count the next page of a projection, in the index but for what was refused; save if that is due."""
        new = collect(self._tools, refused, tolerant=self._tools.allow_failures)
        self._place = name, page.place
        self._copied += len(page.actions) + len(page.refused) - new
        self._refused += new
        if self._clock() >= self._saves_at:
            self.save()

    def save(self) -> Rebuild:
        """Write the place and the counts; the row."""
        place = {} if self._place is None else {"cursor": json.dumps(self._place)}
        counts = {"copied": self._copied, "refused": self._refused}
        self._row = self._tools.save(self._row, **place, **counts)
        self._saves_at = self._clock() + SAVED_EVERY
        return self._row


def heal(tools: Tools, index: str) -> int:
    """Send what differs and has no event under way; returns how many documents were written or deleted.

    Events that were pruned while the index was filled, say, are made up for.
    """
    healed = 0
    for each in tools.each():
        sender = Sender(each, index)
        for batch in _differing(each, index):
            if tools.stop.is_set():
                raise RebuildInterrupted
            refused = sender.send(batch)
            collect(tools, refused, tolerant=True)
            healed += batch.read - len(refused)
    if tools.stop.is_set():
        raise RebuildInterrupted  # not all was compared
    return healed


def _differing(tools: Tools, index: str) -> Iterator[DocumentBatch]:
    """What differs, as it is now: by version where rows have one (content follows it), else by content."""
    source, reader = tools.source, reader_of(tools.client, index, tools.source.projection)
    sides = Sides(tools.db, reader, source, not (source.versioned or reader.shape.no_content))
    keys = _sent_again(source, compare(sides, advance=tools.advance, stop=tools.stop))
    while some := list(islice(keys, tools.size)):
        yield from again(source, tools.db, some)


def _sent_again(source: DocumentSource, differences: Iterable[Difference]) -> Iterator[ChangedKey]:
    """The keys of what differs and is right once it is sent again.

    No event can have been missed where the index is ahead of its row. If a row is gone by then, its delete
    has the version that the index holds.
    """
    unreached = 0
    for each in differences:
        unreached += each.kind is DifferenceKind.UNREACHED
        if each.kind in SENT_AGAIN and each.key is not None and not each.in_flight:
            version = each.source_version if each.index_version is None else each.index_version
            yield ChangedKey(each.key, newest=version or 0)
    if unreached:
        source.tell(UNREACHED.format(rows=unreached, view=source.projection.document))
