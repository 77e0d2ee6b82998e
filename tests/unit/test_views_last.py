"""OpenSearch shows an index by one view a shard: the last one must still be open when its turn comes."""

import json
from typing import Any

import pytest

from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.failures import Answer
from outboxctl.sink.engines import OPENSEARCH
from outboxctl.sink.index import scan, view
from outboxctl.sink.index.named import Index
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.transport.reply import SinkReply

pytestmark = pytest.mark.no_servers
KEEP_ALIVE = 300.0  # seconds, as `view.KEEP_ALIVE` says
PAGE_SECONDS = 50.0  # for which whoever reads works on a page


class Shards:
    """An index of some shards on a server whose views end if nothing is asked of them for five minutes."""

    engine, where = OPENSEARCH, "http://127.0.0.1:9200"

    def __init__(self, shards: int, documents: int) -> None:
        self.ids = [[f"{shard}-{n}" for n in range(documents)] for shard in range(shards)]
        self.now, self.until = 0.0, dict[str, float]()
        self.requests = 0

    def send(
        self, method: str, path: str, params: dict[str, str], body: Any, _: float | None
    ) -> SinkReply | Answer:
        self.requests += 1
        status, answer = self._answer(method, path, params, body)
        return SinkReply(status, {}, json.dumps(answer).encode())

    def _answer(self, method: str, path: str, params: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/things":
            if "local" in params or not self.ids:  # a node that lags does not know it
                return 404, {"error": {"type": "index_not_found_exception", "reason": "no such index"}}
            return 200, {"things": {"settings": {"index.number_of_shards": str(len(self.ids))}}}
        if path.endswith("/_search/point_in_time") and method == "POST":
            return 200, {"pit_id": self._extended(f"view-{params['preference'].partition(':')[2]}")}
        return self._search(body) if path == "/_search" else (200, {})

    def _extended(self, id_: str) -> str:
        self.until[id_] = self.now + KEEP_ALIVE
        return id_

    def _search(self, body: Any) -> tuple[int, Any]:
        id_ = body["pit"]["id"]
        if self.until[id_] < self.now:
            return 404, {"error": {"type": "search_context_missing_exception", "reason": "no view"}}
        ids, after = self.ids[int(id_.rpartition("-")[2])], body.get("search_after", [-1])[0]
        hits = [{"_id": ids[n], "sort": [n]} for n in range(after + 1, len(ids))][: body["size"]]
        return 200, {"pit_id": self._extended(id_), "hits": {"hits": hits}}


@pytest.fixture
def shards(monkeypatch: pytest.MonkeyPatch) -> Shards:
    """Three shards of 20 documents: in pages of two, each takes longer than a view waits."""
    made = Shards(3, 20)
    monkeypatch.setattr(scan, "monotonic", lambda: made.now)
    return made


def in_turn(shards: Shards) -> list[str]:
    return [id_ for ids in shards.ids for id_ in ids]


def test_a_comparison_reads_every_shard_however_long_the_first_ones_take(shards: Shards) -> None:
    reader = Reader(shards, "things")  # type: ignore[arg-type]
    reader._shape = Index("things", settings={"index.number_of_shards": "3"})
    seen: list[str] = []
    for page in reader.everything(2):
        seen += [document.id for document in page]
        shards.now += PAGE_SECONDS
    assert seen == in_turn(shards)
    assert shards.requests < 60, "a look at the waiting views now and then, not with each page"


def test_a_list_of_an_index_reaches_its_last_shard(shards: Shards) -> None:
    """Else it starts again from the first one, and never ends: the event `every document` is never done."""
    seen, place = view.ids(shards, "things", None, 2)  # type: ignore[arg-type]
    while place:
        shards.now += PAGE_SECONDS
        place = json.loads(json.dumps(place))  # it is kept in the event's row between two pages
        found, place = view.ids(shards, "things", place, 2)  # type: ignore[arg-type]
        seen += found
    assert seen == in_turn(shards)


def test_an_index_that_is_not_known_is_no_list_without_documents() -> None:
    with pytest.raises(UnreachableError, match="no such index"):
        view.ids(Shards(0, 0), "things", None, 2)  # type: ignore[arg-type]
