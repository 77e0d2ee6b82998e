"""One pass over both sides, each in the order in which it lies there; no order of keys is shared.

That is a fraction of what it costs to find rows and documents by ranges of keys: the engine unpacks each
block of documents once instead of once a document, and PostgreSQL reads each page once. A sketch of both
(`sketch.py`) finds the ids of what differs. Both sides change while they are read, so these are only suspect.
"""

from collections.abc import Callable, Sequence
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.documents import table_order
from outboxctl.core.documents.table_order import PageRange
from outboxctl.domain.errors import OutboxctlError
from outboxctl.operations.verify.lanes import ahead, begun, in_lanes
from outboxctl.operations.verify.model import Census
from outboxctl.operations.verify.sketch import Sketch, secret
from outboxctl.sink.index.scan import Reader


class OnePass:
    """One pass; `size` is the number of rows read at once, and of documents."""

    def __init__(self, database: Database, reader: Reader, *, content: bool, size: int) -> None:
        self._database, self._reader = database, reader
        self._content, self._size = content, size
        self._sketch, self._over = Sketch(), Event()

    def suspects(
        self, rows: int, census: Census, advance: Callable[[int], object], stop: Event
    ) -> Sequence[str] | None:
        """The ids of what differs; none after `stop`.

        None where they cannot be found so: they are too many, the source is a view, hashes have no secret
        key, or a side failed, such as the node of a shard's copy: on another one the documents have another
        order. `census` counts all the same.
        """
        if not secret():
            return None
        try:
            with self._database.begin() as connection:
                ranges = table_order.page_ranges(connection, rows, self._size)
            return self._compared(ranges, census, advance, stop) if ranges else None
        except OutboxctlError:
            return None  # a role that may not read `ctid`, say; by keys it is raised again, or is no matter
        finally:
            self._over.set()

    def _compared(
        self, ranges: Sequence[PageRange], census: Census, advance: Callable[[int], object], stop: Event
    ) -> Sequence[str] | None:
        documents = begun(lambda: self._read_index(stop))
        with in_lanes(self._read_rows, ranges) as read:
            for _, count in read:
                census.rows += count
                advance(count)
                if stop.is_set():
                    return []
                if documents.done():
                    documents.result()  # raises what was raised there
        census.documents = documents.result()
        ids = self._sketch.remaining()
        return ids if ids is None else [id_.decode(errors="surrogateescape") for id_ in ids]

    def _read_rows(self, pages: PageRange) -> int:
        with self._database.begin() as connection:
            rows = table_order.rows(connection, pages, content=self._content)
        self._sketch.add(rows)
        return len(rows)

    def _read_index(self, stop: Event) -> int:
        count = 0
        for page in ahead(self._reader.everything(self._size, content=self._content)):
            self._sketch.subtract(
                (each.id.encode("utf-8", "surrogatepass"), each.version, each.body if self._content else None)
                for each in page
            )
            count += len(page)
            if self._over.is_set() or stop.is_set():
                break
        return count
