"""Reading an index as it is: all documents, and documents by id."""

from collections.abc import Iterator, Sequence

from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import InconclusiveError
from outboxctl.domain.projection import Projection, Routing
from outboxctl.sink.index.index_setup import count
from outboxctl.sink.index.named import Index, one
from outboxctl.sink.index.scanned import ScannedDocument, by_id, search
from outboxctl.sink.index.view import View, opened
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import refresh

PAGE = 5_000  # documents a request
BYTES, FIRST = 4_000_000, 200  # of their bodies, about; and documents, before their size is known
EXTENDED_SECONDS = 60.0  # so often views that wait for their turn are kept from their end: see `KEEP_ALIVE`


class Reader:
    """Reads one index, or the one behind an alias; safe to use from several threads.

    Of several projections that share it, the one whose ids begin with `prefix`. No engine looks for a part of
    an `_id`: all documents are read, and those of others put aside.
    """

    def __init__(self, client: Client, name: str, prefix: str = "") -> None:
        self.client, self.name, self._prefix = client, name, prefix
        self._shape: Index | None = None

    @property
    def shape(self) -> Index:
        """The concrete index, looked up once; see `one` for what is raised."""
        if self._shape is None:
            self._shape = one(self.client, self.name)
        return self._shape

    def check_unchanged(self) -> None:
        """Raise InconclusiveError if the name leads to another index by now."""
        if one(self.client, self.name).uuid != self.shape.uuid:
            raise InconclusiveError(
                f"{self.name} does not lead to the {self.shape.name} that was read any more",
                hint="it was replaced meanwhile: run the same again",
            )

    def refresh(self) -> None:
        """Make everything written so far visible to `everything`."""
        refresh(self.client, self.shape.name)

    def everything(self, most: int = PAGE, *, content: bool = False) -> Iterator[Sequence[ScannedDocument]]:
        """All documents, each once, in the order in which they lie there, at most `most` a page."""
        with opened(self.client, self.shape.name, self.shape.shards) as views:
            extended = monotonic()
            for place, view in enumerate(views, 1):
                for page in self._hits(view, min(most, self.shape.window), content=content):
                    if own := [each for each in page if each.id.startswith(self._prefix)]:
                        yield own
                    if monotonic() - extended > EXTENDED_SECONDS:
                        for waiting in views[place:]:
                            waiting.extend()
                        extended = monotonic()

    def count(self) -> int:
        """How many documents there are, unrefreshed ones included."""
        if not self._prefix:
            return count(self.client, self.shape.name)
        self.refresh()
        return sum(map(len, self.everything()))

    def get(self, ids: Sequence[str], *, content: bool) -> list[ScannedDocument | None]:
        """The documents of these ids as they are this moment, as `by_id`."""
        return by_id(self.client, self.shape.name, ids, content=content)

    def _hits(self, view: View, most: int, *, content: bool) -> Iterator[Sequence[ScannedDocument]]:
        after = None
        size = min(FIRST, most) if content else most
        while True:
            page = view.page(size, after, content=content)
            if page.documents:
                yield page.documents
            if len(page.documents) < size:
                return
            after = page.last
            if content:
                read = sum(len(bytes(each.source)) for each in page.documents)
                size = max(1, min(most, BYTES * size // max(1, read)))


def reader_of(client: Client, index: str, projection: Projection) -> Reader:
    """The reader of an index for a projection's documents."""
    kind = Reader if projection.routed is Routing.NONE else RoutedReader
    return kind(client, index, projection.id_prefix)


class RoutedReader(Reader):
    """Reads an index whose documents have a routing: an id alone does not determine the shard."""

    def get(self, ids: Sequence[str], *, content: bool) -> list[ScannedDocument | None]:
        """As `Reader.get`, found by a search in all shards after a refresh."""
        size = max(1, self.shape.window // self.shape.shards)
        found: dict[str, list[ScannedDocument]] = {}
        if ids:
            self.refresh()
        for at in range(0, len(ids), size):
            for document in self._by_ids(ids[at : at + size], content=content):
                found.setdefault(document.id, []).append(document)
        first = [found.get(id_, [None])[0] for id_ in ids]
        return [each and each.met(len(found[each.id])) for each in first]

    def _by_ids(self, ids: Sequence[str], *, content: bool) -> list[ScannedDocument]:
        body = {"query": {"ids": {"values": list(ids)}}, "size": self.shape.window, "_source": content}
        body |= {"version": True, "seq_no_primary_term": True, "sort": ["_doc"]}
        page = search(self.client, self.shape.name, body, self.shape.name)
        return sorted(page.documents, key=lambda each: each.routing)
