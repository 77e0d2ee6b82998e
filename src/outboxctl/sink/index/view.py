"""A view of an index that stays as it was: documents written meanwhile move nothing between two pages."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from outboxctl.sink.engines import PointInTime
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask, request

KEEP_ALIVE = "5m"  # between two pages


class View:
    """One open view; each page names the view that the next one is asked of."""

    def __init__(self, client: Client, kind: PointInTime, id_: str) -> None:
        self._client, self._kind, self.id = client, kind, id_

    @classmethod
    def open(cls, client: Client, index: str, **part: str) -> "View":
        """A view of the index, or of a part of it. Raises UnreachableError if there is no index."""
        kind = client.engine.point_in_time
        answer = request(client, "POST", index, *kind.path, keep_alive=KEEP_ALIVE, **part)
        return cls(client, kind, answer[kind.id])

    def request(self, after: Sequence[Any] | None) -> dict[str, Any]:
        """The parts of a search's body that lead into the view, behind a hit's `sort`."""
        view = {"pit": {"id": self.id, "keep_alive": KEEP_ALIVE}, "sort": [self._kind.sort]}
        return view if after is None else view | {"search_after": after}

    def follow(self, id_: str) -> None:
        """Use the name that a page gives the view from now on."""
        self.id = id_

    def extend(self) -> None:
        """Keep it open for `KEEP_ALIVE` from now on. Raises UnreachableError where it has ended."""
        body = {"size": 0, "track_total_hits": False} | self.request(None)
        self.follow(request(self._client, "POST", "_search", body=body)["pit_id"])

    def close(self) -> None:
        """Close it; else it ends by itself."""
        id_: Any = [self.id] if self._kind.by_shard else self.id
        ask(self._client, "DELETE", *self._kind.path, body={self._kind.id: id_})


@contextmanager
def opened(client: Client, index: str, shards: int) -> Iterator[list[View]]:
    """The views that together show an index, all opened before any is read."""
    kind = client.engine.point_in_time
    only = [{"preference": f"_shards:{shard}"} for shard in range(shards)] if kind.by_shard else [{}]
    with ExitStack() as stack:
        views = []
        for part in only:
            views.append(View.open(client, index, **part))
            stack.callback(views[-1].close)
        yield views
