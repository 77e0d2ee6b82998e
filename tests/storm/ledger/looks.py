"""What is looked at in the ledger's indexes while it storms: no document may show an older state again."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from engines.node import Node

INTERVAL = 0.2
MOST = 2_000  # documents of one look


class Looks:
    """One reader of the documents behind all aliases; `steps_back` says what went back.

    `behind` counts documents that were older once a rebuild had moved an alias: what was delivered to the old
    index a moment before is sent to the new one a moment later.
    """

    def __init__(self, engine: Node, indexes: Sequence[str]) -> None:
        self._engine, self._indexes = engine, indexes
        self._newest: dict[tuple[str, str], tuple[str, int]] = {}
        self.count, self.behind, self.steps_back = 0, 0, list[str]()
        self._over = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._run_out = self._thread.submit(self._run)

    def close(self) -> None:
        """Look no more; raises what went wrong in its thread."""
        self._over.set()
        self._thread.shutdown()
        self._run_out.result()

    def _run(self) -> None:
        while not self._over.wait(INTERVAL):
            for index in self._indexes:
                self._look(index)
            self.count += 1

    def _look(self, index: str) -> None:
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
        if rev < newest and index == before:
            self.steps_back.append(f"{index}: account {id_} from {newest} to {rev}")
        self.behind += rev < newest and index != before
        self._newest[alias, id_] = index, rev
