"""Looking again and again while it storms."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engines.node import Node
from shop.past import Past


class Looking:
    """Calls `look` in a thread of its own, `interval` seconds after the last time, until `close`.

    `count` are the looks so far.
    """

    def __init__(self, look: Callable[[], None], interval: float) -> None:
        self._look, self._interval = look, interval
        self.count = 0
        self._over = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._run_out = self._thread.submit(self._run)

    def close(self) -> None:
        """Look no more; raises what went wrong in the thread."""
        self._over.set()
        self._thread.shutdown()
        self._run_out.result()

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            self._look()
            self.count += 1


class DocumentLooks:
    """One reader of documents by their ids: what it sees of a document is in the order of time.

    By its id, since a search shows what was refreshed last. `chosen` says which ids behind which aliases the
    next look is at, by the number of looks so far. With `gone` a document that is not there counts, too.
    `steps_back` says what went back, `changes_seen` is how often one was another one than at the look before.
    Where it has no `rev` its version is one.
    """

    def __init__(
        self,
        engine: Node,
        chosen: Callable[[int], Iterable[tuple[str, Sequence[str]]]],
        interval: float,
        *,
        gone: bool,
    ) -> None:
        self._engine, self._chosen, self._gone = engine, chosen, gone
        self._pasts: dict[tuple[str, str], Past] = {}
        self._last: dict[tuple[str, str], Any] = {}
        self.steps_back, self.changes_seen = list[str](), 0
        self._looking = Looking(lambda: self._look(self._looking.count), interval)

    @property
    def count(self) -> int:
        """How many looks there were."""
        return self._looking.count

    def close(self) -> None:
        """Look no more; raises what went wrong in its thread."""
        self._looking.close()

    def finish(self) -> None:
        """Look a last time, as the first time."""
        self.close()
        self._look(0)

    def _look(self, number: int) -> None:
        for alias, ids in self._chosen(number):
            if ids:
                status, answer = self._engine.ask("POST", f"/{alias}/_mget", {"ids": ids})
                for doc in answer["docs"] if status == 200 else []:
                    # Else the index is not there, or was made by a request as it was deleted (ADR 3).
                    if "error" not in doc and doc["_index"] != alias:
                        self.see(alias, doc)

    def see(self, alias: str, doc: Any) -> None:
        """One look at one document, as the engine shows it."""
        found = doc.get("found", False)
        if not found and not self._gone:
            return
        at, shown = (alias, doc["_id"]), {"rev": doc.get("_version")} | doc["_source"] if found else None
        if problem := self._pasts.setdefault(at, Past()).see(shown):
            self.steps_back.append(f"document {doc['_id']} of {doc['_index']}: {problem}: {shown}")
        self.changes_seen += self._last.get(at) != shown
        self._last[at] = shown
