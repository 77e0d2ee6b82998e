"""Workers in this process that take one step at a time, with declarations and indexes of their own."""

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from outboxctl.core.database import Database
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Answer, Classification, classify
from outboxctl.domain.projection import Projection
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, Place
from outboxctl.worker.health import Health
from outboxctl.worker.wiring import WorkerParts

FEW = 2  # ids a page
SETTINGS = {"max_attempts": 5, "base_backoff_seconds": 0.01, "max_backoff_seconds": 0.01}


class MemoryIndex:
    """An index in memory, whose deletes leave tombstones. Versions are `external_gte`, as in an engine."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, str | None]] = {}
        self.sent: list[tuple[str, str | None, str]] = []  # id, document, routing

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Apply the actions."""
        assert deadline.seconds_left() > 0
        return Delivery([self._apply(action) for action in actions], [])

    def _apply(self, action: BulkAction) -> Classification:
        version, document = self._held.get(action.id, (-1, None))
        if action.version < version:
            text = f"[{action.id}]: version conflict, current version [{version}] is higher"
            return classify(Answer(409, "version_conflict_engine_exception", text))
        self._held[action.id] = action.version, action.document
        self.sent.append((action.id, action.document, action.routing))
        return DONE if action.document or document else classify(Answer(404, delete=True))

    def ids(self, place: Place | None, size: int) -> tuple[list[str], Place | None]:
        """A page of the ids that were there when the first page was read."""
        left = list(place["left"]) if place else sorted(self.documents())
        size = min(size, FEW)
        return left[:size], {"left": left[size:]} if left[size:] else None

    def documents(self) -> dict[str, Any]:
        """What a search finds."""
        return {id_: json.loads(document) for id_, (_, document) in self._held.items() if document}


class Indexes(defaultdict[str, MemoryIndex]):
    """All indexes by name; `pipelines` are those that documents were sent through, by index."""

    def __init__(self) -> None:
        super().__init__(MemoryIndex)
        self.pipelines: dict[str, str] = {}

    def of(self, projection: Projection) -> MemoryIndex:
        """The index of a declaration."""
        self.pipelines[projection.index] = projection.pipeline
        return self[projection.index]


class SteppedWorker:
    """A worker without threads."""

    def __init__(self, url: str, indexes: Indexes) -> None:
        self.database = Database(url, connections=3)
        settings = load(database_url=url, **SETTINGS)
        self.parts = WorkerParts(
            settings, self.database, indexes["built-in"], Metrics(), Health(300), sink_of=indexes.of
        )
        self._lane = self.parts.lane(drain=True)

    def deliver(self) -> bool:
        """Claim and deliver a batch; whether there was one."""
        self.parts.expander._unfinished.clear()  # as at the end of its turn: else it is waited for
        return self._lane._turn()  # one turn of its thread

    def expand(self) -> bool:
        """Write half a page of a follow event; whether there was one."""
        return self.parts.expander.step()

    def work(self) -> None:
        """Until nothing is due."""
        with suppress(StopIteration):
            while self.expand() or self.deliver():
                pass
