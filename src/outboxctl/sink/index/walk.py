"""The ids of all documents of an index, page by page, with a place that can be written down between pages."""

from outboxctl.domain.failures import Answer
from outboxctl.sink.delivery.result import Place
from outboxctl.sink.index.named import described
from outboxctl.sink.index.view import View
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import failure, refresh, request


def ids(client: Client, name: str, place: Place | None, size: int) -> tuple[list[str], Place | None]:
    """Up to `size` ids after `place` (None: from the start), and the next place; None after the last.

    All documents written before the start are among them: the index is refreshed then. A place is good for
    five minutes (`view.KEEP_ALIVE`). Raises UnreachableError for an index that is not there, or a place that
    is too old.
    """
    views = list(place["views"]) if place else _opened(client, name)
    after = place["after"] if place else None
    if not views:
        return [], None
    view, *waiting = (View(client, client.engine.point_in_time, id_) for id_ in views)
    for each in waiting:  # between two pages they may end, and then the list would begin again, for ever
        each.extend()
    body = {"size": size, "_source": False, "track_total_hits": False} | view.request(after)
    page = request(client, "POST", "_search", body=body, allow_partial_search_results=False)
    view.follow(page["pit_id"])
    hits = page["hits"]["hits"]
    if len(hits) < size:
        view.close()
        views, after = [each.id for each in waiting], None
    else:
        views, after = [view.id, *(each.id for each in waiting)], hits[-1]["sort"]
    return [hit["_id"] for hit in hits], {"views": views, "after": after} if views else None


def _opened(client: Client, name: str) -> list[str]:
    """The views that together show the index as it is now."""
    refresh(client, name)
    kind = client.engine.point_in_time
    if not kind.by_shard:
        return [View.open(client, name).id]
    found = described(client, name)  # by the leader: no shards, or those of another index, end the list early
    if isinstance(found, Answer):
        raise failure(found)
    shards = sum(each.shards for each in found.indexes)
    return [View.open(client, name, preference=f"_shards:{shard}").id for shard in range(shards)]
