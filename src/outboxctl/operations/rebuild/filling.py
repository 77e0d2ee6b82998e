"""Filling the new index with all source rows in key order, comparing both, and sending what differs."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from outboxctl.core.documents import source_rows
from outboxctl.core.documents.source_rows import Key, SourceEntity
from outboxctl.core.operator.rebuilds import Rebuild, RebuildPhase
from outboxctl.domain.errors import UsageError
from outboxctl.operations import batches
from outboxctl.operations.rebuild.model import RebuildInterrupted, Refused, Tools
from outboxctl.operations.rebuild.sending import Sender, collect
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Difference, DifferenceKind, key_of
from outboxctl.sink.index.scan import Reader

SENDERS = 3  # requests in flight: the measured optimum of one engine on the worker's side


def fill(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Copy what has not been copied; the position is saved after each page that was acknowledged.

    Raises DocumentsRefusedError, UnreachableError or RebuildInterrupted; what was saved stays valid.
    """
    tools.advance(rebuild.copied)
    with ThreadPoolExecutor(SENDERS) as pool:
        copy = Copy(tools, rebuild, pool)
        batches.run(copy.step, stop=tools.stop, advance=tools.advance)
        return copy.end()


class Copy:
    """The pages in flight, in order: a page counts once it and all before it are in the index."""

    def __init__(self, tools: Tools, rebuild: Rebuild, pool: ThreadPoolExecutor) -> None:
        self._tools, self._pool, self._row = tools, pool, rebuild
        self._sender = Sender(tools, rebuild.new_index)
        self._in_flight: deque[tuple[list[SourceEntity], Key, Future[list[Refused]]]] = deque()
        self._read = _key(rebuild)
        self._complete = False

    def step(self) -> int:
        """Read pages for idle senders, and wait for the oldest; returns its entities, 0 at the end."""
        while not self._complete and len(self._in_flight) < SENDERS:
            self._read_page()
        if not self._in_flight:
            return 0
        entities, key, future = self._in_flight.popleft()
        self._save(entities, key, future.result())
        return len(entities)

    def end(self) -> Rebuild:
        """Wait for the pages in flight; the row, which is in its next phase if all is copied."""
        while self._in_flight:
            entities, key, future = self._in_flight.popleft()
            self._save(entities, key, future.result())
        if not self._complete:
            return self._row
        return self._tools.save(self._row, phase=RebuildPhase.CATCH_UP)

    def _read_page(self) -> None:
        with self._tools.db.begin() as connection:
            entities, key = source_rows.page(connection, self._read, self._tools.size)
        if key is None:
            self._complete = True
            return
        self._read = key
        self._in_flight.append((entities, key, self._pool.submit(self._sender.send, entities)))

    def _save(self, entities: list[SourceEntity], key: Key, refused: list[Refused]) -> None:
        new = collect(self._tools, refused, tolerant=self._tools.allow_failures)
        counts = {"copied": self._row.copied + len(entities) - new, "refused": self._row.refused + new}
        self._row = self._tools.save(self._row, cursor_type=key[0], cursor_id=key[1], **counts)


def _key(rebuild: Rebuild) -> Key | None:
    if rebuild.cursor_type is None or rebuild.cursor_id is None:
        return None
    return rebuild.cursor_type, rebuild.cursor_id


# No event can have been missed where the index is ahead; and content follows the version.
SENT_AGAIN = {DifferenceKind.MISSING, DifferenceKind.STALE, DifferenceKind.EXTRA}


def heal(tools: Tools, index: str) -> int:
    """Send what differs and has no event under way; returns how many documents were written or deleted.

    Events that were pruned while the index was filled, say, are made up for. An index without fields to
    compare by is left as it is.
    """
    reader, sender, healed = Reader(tools.client, index), Sender(tools, index), 0
    try:
        reader.shape  # noqa: B018 - reads the mapping
    except UsageError as error:
        tools.say(f"not compared: {error}")
        return 0
    differing = _sent_again(compare(tools.db, reader, content=False, advance=tools.advance, stop=tools.stop))
    while keys := list(islice(differing, tools.size)):
        if tools.stop.is_set():
            raise RebuildInterrupted
        with tools.db.begin() as connection:
            entities = source_rows.named(connection, keys)
        refused = sender.send(entities)
        collect(tools, refused, tolerant=True)
        healed += len(entities) - len(refused)
    if tools.stop.is_set():
        raise RebuildInterrupted  # not all was compared
    return healed


def _sent_again(differences: Iterator[Difference]) -> Iterator[tuple[str, str, int]]:
    """Type, id, and the version of a delete in case that the row is gone."""
    for each in differences:
        key = key_of(each.id)
        if each.kind in SENT_AGAIN and key and not each.in_flight:
            version = each.source_version if each.index_version is None else each.index_version
            yield (*key, version or 0)
