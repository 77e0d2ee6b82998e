"""What is looked at in the ledger's indexes while it storms: no document may show an older state again."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from engines.node import Node

INTERVAL = 0.2
MOST = 2_000  # documents of one look


class Looks:
    """One reader of the documents of all indexes; `steps_back` says what went back."""

    def __init__(self, engine: Node, indexes: Sequence[str]) -> None:
        self._engine, self._indexes = engine, indexes
        self._highest: dict[tuple[str, str], int] = {}
        self.count, self.steps_back = 0, list[str]()
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
                self.see(index, doc["_id"], doc["_source"]["rev"])

    def see(self, index: str, id_: str, rev: int) -> None:
        """One look at one document."""
        highest = self._highest.get((index, id_), 0)
        if rev < highest:
            self.steps_back.append(f"{index}: account {id_} from {highest} to {rev}")
        self._highest[index, id_] = max(rev, highest)
