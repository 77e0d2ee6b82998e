"""Filling the new index with all source rows in key order, comparing both, and sending what differs."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from outboxctl.core.operator.rebuilds import Rebuild, RebuildPhase
from outboxctl.domain.errors import UsageError
from outboxctl.operations import batches
from outboxctl.operations.rebuild.model import RebuildInterrupted, Tools
from outboxctl.operations.rebuild.sending import Sender, collect
from outboxctl.operations.rebuild.source import DocumentPage, Place, Refused

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
        # A document whose routing changes meanwhile is sent again when the rebuild catches up.
        self._sender = Sender(tools, rebuild.new_index, once=True)
        self._in_flight: deque[tuple[DocumentPage, Future[list[Refused]]]] = deque()
        self._place: Place = rebuild.place
        self._complete = False

    def step(self) -> int:
        """Read pages for idle senders, and wait for the oldest; returns its entities, 0 at the end."""
        while not self._complete and len(self._in_flight) < SENDERS:
            self._read_page()
        if not self._in_flight:
            return 0
        page, future = self._in_flight.popleft()
        self._save(page, future.result())
        return page.batch.read

    def end(self) -> Rebuild:
        """Wait for the pages in flight; the row, which is in its next phase if all is copied."""
        while self._in_flight:
            page, future = self._in_flight.popleft()
            self._save(page, future.result())
        if not self._complete:
            return self._row
        return self._tools.save(self._row, phase=RebuildPhase.CATCH_UP)

    def _read_page(self) -> None:
        page = self._tools.source.page(self._tools.db, self._place, self._tools.size)
        if page is None:
            self._complete = True
            return
        self._place = page.place
        self._in_flight.append((page, self._pool.submit(self._sender.send, page.batch)))

    def _save(self, page: DocumentPage, refused: list[Refused]) -> None:
        new = collect(self._tools, refused, tolerant=self._tools.allow_failures)
        sent = len(page.batch.actions) + len(page.batch.refused)
        counts = {"copied": self._row.copied + sent - new, "refused": self._row.refused + new}
        self._row = self._tools.save(self._row, **page.place, **counts)


def heal(tools: Tools, index: str) -> int:
    """Send what differs and has no event under way; returns how many documents were written or deleted.

    Events that were pruned while the index was filled, say, are made up for. An index without fields to
    compare by is left as it is.
    """
    source, sender, healed = tools.source, Sender(tools, index), 0
    try:
        differing = source.differing(
            tools.db, tools.client, index, tools.size, advance=tools.advance, stop=tools.stop
        )
    except UsageError as error:
        tools.say(f"not compared: {error}")
        return 0
    for batch in differing:
        if tools.stop.is_set():
            raise RebuildInterrupted
        refused = sender.send(batch)
        collect(tools, refused, tolerant=True)
        healed += batch.read - len(refused)
    if tools.stop.is_set():
        raise RebuildInterrupted  # not all was compared
    return healed
