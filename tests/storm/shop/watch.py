"""What is looked at in the shop's index while it storms: the documents themselves, by their ids."""

from collections import defaultdict
from collections.abc import Sequence

from engines.node import Node
from storm.looking import Looking
from storm.shop.application import ShopApplication
from storm.shop.timeline import State

INTERVAL = 0.05  # seconds between two looks at what is written to
SELDOM = 20  # looks from one at all keys to the next


class ShopWatch:
    """One reader, one request after the other: what it sees of a document is in the order of time.

    `looks` are those at each document that differ from the look before, None where there was none; `versions`
    are steps back of the index's own version.
    """

    def __init__(self, engine: Node, index: str, application: ShopApplication) -> None:
        self._engine, self._index, self._application = engine, index, application
        self.looks: dict[str, list[State]] = defaultdict(list)
        self.steps_back: list[str] = []
        self._highest: dict[str, int] = {}
        self._looking = Looking(self._look, INTERVAL)

    @property
    def count(self) -> int:
        """How many looks there were."""
        return self._looking.count

    def close(self) -> None:
        """Look at all of them a last time, and no more; raises what went wrong in its thread."""
        if self._looking.close():
            self._look_at(self._application.keys())

    def _look(self) -> None:
        all_ = self.count % SELDOM == 0
        self._look_at(self._application.keys() if all_ else self._application.recent())

    def _look_at(self, keys: Sequence[str]) -> None:
        for doc in self._engine.mget(index=self._index, ids=[*keys], source=True)["docs"]:
            self.see(doc["_id"], doc.get("_version", 0), doc["_source"] if doc["found"] else None)

    def see(self, key: str, version: int, document: State) -> None:
        """One look at one document."""
        looks = self.looks[key]
        if not looks or looks[-1] != document:
            looks.append(document)
        if document is None:
            return
        if version < self._highest.get(key, 0):
            self.steps_back.append(f"document {key} from version {self._highest[key]} to {version}")
        self._highest[key] = max(version, self._highest.get(key, 0))
