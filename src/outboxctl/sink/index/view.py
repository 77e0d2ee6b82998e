"""Views of an index that stay as they were: documents written meanwhile move nothing between two pages."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from outboxctl.domain.failures import Answer
from outboxctl.sink.delivery.result import Place
from outboxctl.sink.index.named import described
from outboxctl.sink.index.scanned import SearchPage, search
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask, failure, refresh, request

KEEP_ALIVE = "5m"  # between two pages


class View:
    """An open view of an index, or of one shard; each page names the view that the next one is asked of."""

    def __init__(self, client: Client, index: str, id_: str) -> None:
        self._client, self._index, self.id = client, index, id_
        self._kind = client.engine.point_in_time

    def page(self, size: int, after: Sequence[Any] | None, *, content: bool = False) -> SearchPage:
        """So many documents behind a place (`SearchPage.last`), with their bodies where `content`."""
        body: dict[str, Any] = {"size": size, "_source": content, "version": True, "track_total_hits": False}
        body |= {"pit": {"id": self.id, "keep_alive": KEEP_ALIVE}, "sort": [self._kind.sort]}
        body |= {} if after is None else {"search_after": after}
        page = search(self._client, self._index, body)
        self.id = page.pit_id
        return page

    def extend(self) -> None:
        """Keep it open for `KEEP_ALIVE` from now on. Raises UnreachableError where it has ended."""
        self.page(0, None)

    def close(self) -> None:
        """Close it; else it ends by itself."""
        id_: Any = [self.id] if self._kind.by_shard else self.id
        ask(self._client, "DELETE", *self._kind.path, body={self._kind.id: id_})


def _open(client: Client, index: str, shards: int) -> Iterator[View]:
    """The views that together show an index with so many shards. Raises as `request`."""
    kind = client.engine.point_in_time
    only = [{"preference": f"_shards:{shard}"} for shard in range(shards)] if kind.by_shard else [{}]
    for part in only:
        answer = request(client, "POST", index, *kind.path, keep_alive=KEEP_ALIVE, **part)
        yield View(client, index, answer[kind.id])


@contextmanager
def opened(client: Client, index: str, shards: int) -> Iterator[list[View]]:
    """The views that together show an index, all opened before any is read."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(view)) for view in _open(client, index, shards)]


def ids(client: Client, name: str, place: Place | None, size: int) -> tuple[list[str], Place | None]:
    """Up to `size` ids after `place` (None: from the start), and the next place; None after the last.

    All documents written before the start are among them: the index is refreshed then. A place is JSON, and
    good for `KEEP_ALIVE`. Raises UnreachableError for an index that is not there, or a place that is too old.
    """
    if place:
        views = [View(client, name, id_) for id_ in place["views"]]
    else:
        refresh(client, name)
        views = [*_open(client, name, _shards(client, name))]
    if not views:
        return [], None
    view, *waiting = views
    for each in waiting:  # between two pages they may end, and then the list would begin again, for ever
        each.extend()
    page = view.page(size, place["after"] if place else None)
    after = page.last if len(page.documents) == size else None
    if after is None:
        view.close()
        views = waiting
    left = {"views": [each.id for each in views], "after": after} if views else None
    return [hit.id for hit in page.documents], left


def _shards(client: Client, name: str) -> int:
    """Asked of the leader: with no shards, or those of another index, the list would end early."""
    if not client.engine.point_in_time.by_shard:
        return 1
    found = described(client, name)
    if isinstance(found, Answer):
        raise failure(found)
    return sum(each.shards for each in found.indexes)
