"""Filling the new index: every source row in key order, several requests in flight, the place saved."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from outboxctl.core.documents import source_rows
from outboxctl.core.documents.source_rows import Key, SourceEntity
from outboxctl.core.operator import rebuilds
from outboxctl.core.operator.rebuilds import Rebuild, RebuildPhase
from outboxctl.operations import batches
from outboxctl.operations.rebuild.model import Refused, Tools
from outboxctl.operations.rebuild.sending import Sender, collect

SENDERS = 3  # requests in flight: the measured optimum of one engine on the worker's side


def fill(tools: Tools, rebuild: Rebuild) -> Rebuild:
    """Copy what has not been copied; the place is saved after each page that was acknowledged.

    Raises RefusedError, UnreachableError or Interrupted; what is saved then still holds.
    """
    tools.advance(rebuild.copied)
    with ThreadPoolExecutor(SENDERS) as pool:
        copy = Copy(tools, rebuild, pool)
        batches.run(copy.step, stop=tools.stop, advance=tools.advance)
        return copy.end()


class Copy:
    """The pages under way, in order: a page counts once it and all before it are in the index."""

    def __init__(self, tools: Tools, rebuild: Rebuild, pool: ThreadPoolExecutor) -> None:
        self._tools, self._pool, self._row = tools, pool, rebuild
        self._sender = Sender(tools, rebuild.new_index)
        self._flying: deque[tuple[list[SourceEntity], Key, Future[list[Refused]]]] = deque()
        self._read = _key(rebuild)
        self._complete = False

    def step(self) -> int:
        """Keep the senders busy, and see the oldest page through; returns its entities, 0 at the end."""
        while not self._complete and len(self._flying) < SENDERS:
            self._read_page()
        if not self._flying:
            return 0
        entities, key, future = self._flying.popleft()
        self._save(entities, key, future.result())
        return len(entities)

    def end(self) -> Rebuild:
        """See through what is under way; the row, which is in its next phase if all is copied."""
        while self._flying:
            entities, key, future = self._flying.popleft()
            self._save(entities, key, future.result())
        if not self._complete:
            return self._row
        with self._tools.db.begin() as connection:
            return rebuilds.save(connection, self._row, phase=RebuildPhase.CATCH_UP)

    def _read_page(self) -> None:
        with self._tools.db.begin() as connection:
            entities, key = source_rows.page(connection, self._read, self._tools.size)
        if key is None:
            self._complete = True
            return
        self._read = key
        self._flying.append((entities, key, self._pool.submit(self._sender.send, entities)))

    def _save(self, entities: list[SourceEntity], key: Key, refused: list[Refused]) -> None:
        new = collect(self._tools, refused, tolerant=self._tools.allow_failures)
        counts = {"copied": self._row.copied + len(entities) - new, "refused": self._row.refused + new}
        with self._tools.db.begin() as connection:
            self._row = rebuilds.save(connection, self._row, cursor_type=key[0], cursor_id=key[1], **counts)


def _key(rebuild: Rebuild) -> Key | None:
    if rebuild.cursor_type is None or rebuild.cursor_id is None:
        return None
    return rebuild.cursor_type, rebuild.cursor_id
