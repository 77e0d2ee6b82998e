"""What is looked at in the ledger's indexes while it storms: no document may show an older state again."""

from collections.abc import Sequence

from engines.node import Node
from storm.looking import Looking

INTERVAL = 0.2
MOST = 2_000  # documents of one look


class LedgerLooks:
    """One reader of the documents behind all aliases; `steps_back` says what went back.

    Also where a rebuild moved the alias in between.
    """

    def __init__(self, engine: Node, indexes: Sequence[str]) -> None:
        self._engine, self._indexes = engine, indexes
        self._newest: dict[tuple[str, str], tuple[str, int]] = {}
        self.steps_back = list[str]()
        self._looking = Looking(self._look, INTERVAL)

    @property
    def count(self) -> int:
        """How many looks there were."""
        return self._looking.count

    def close(self) -> None:
        """Look no more; raises what went wrong in its thread."""
        self._looking.close()

    def _look(self) -> None:
        for index in self._indexes:
            self._look_at(index)

    def _look_at(self, index: str) -> None:
        """By id: a search shows what was refreshed last, in any order of time."""
        newest = {"size": MOST, "sort": [{"rev": "desc"}], "_source": False}
        status, answer = self._engine.ask("POST", f"/{index}/_search?ignore_unavailable=true", newest)
        ids = [hit["_id"] for hit in answer["hits"]["hits"]] if status == 200 else []
        if not ids:
            return
        status, answer = self._engine.ask("POST", f"/{index}/_mget?_source=rev", {"ids": ids})
        for doc in answer["docs"] if status == 200 else []:
            if doc.get("found"):
                self.see(index, doc["_id"], doc["_index"], doc["_source"]["rev"])

    def see(self, alias: str, id_: str, index: str, rev: int) -> None:
        """One look at one document, in the index that the alias leads to."""
        before, newest = self._newest.get((alias, id_), (index, 0))
        if rev < newest:
            moved = "" if index == before else f", which the alias led to after {before}"
            self.steps_back.append(f"{index}{moved}: account {id_} from {newest} to {rev}")
        self._newest[alias, id_] = index, rev
