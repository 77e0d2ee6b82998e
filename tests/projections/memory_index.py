"""Indexes in memory, one of them behind a network that loses answers and delays requests."""

import json
import threading
from collections.abc import Callable, Sequence
from random import Random
from time import sleep
from typing import Any

from outboxctl.core.database import Database
from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Answer, Classification, classify
from outboxctl.settings import load
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, Place
from outboxctl.worker.wiring import WorkerParts
from shop.past import Past
from worker_parts import no_ping

SILENCE = classify(Answer(0, "timeout", "no answer", request=True))
LATE = 0.2  # seconds that a request may take to arrive, after its sender has given up
STALLED = 0.05  # seconds that a worker stands still, or its request takes
FEW = 2  # ids a page
FAULTS = ("none",) * 5 + ("slow", "answer lost", "late", "late", "frozen")


class MemoryIndex:
    """A sink whose deletes leave tombstones. Versions are `external_gte`, as in an engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[int, str | None]] = {}
        self.sent: list[tuple[str, str | None, str]] = []  # id, document, routing
        self.conflicts = 0

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Apply the actions."""
        assert deadline.seconds_left() > 0
        return Delivery([self._apply(action) for action in actions], [])

    def ids(self, place: Place | None, size: int) -> tuple[list[str], Place | None]:
        """A page of the ids that were there when the first page was read."""
        left = list(place["left"]) if place else sorted(self.documents())
        size = min(size, FEW)  # else all of them are the first page
        return left[:size], {"left": left[size:]} if left[size:] else None

    def holds(self, seconds: float) -> str:
        """It is never made anew."""
        assert seconds > 0
        return "memory"

    def documents(self) -> dict[str, Any]:
        """What a search finds."""
        with self._lock:
            return {id_: json.loads(document) for id_, (_, document) in self._held.items() if document}

    def _apply(self, action: BulkAction) -> Classification:
        with self._lock:
            version, document = self._held.get(action.id, (-1, None))
            if action.version < version:
                self.conflicts += 1
                text = f"[{action.id}]: version conflict, current version [{version}] is higher"
                return classify(Answer(409, "version_conflict_engine_exception", text))
            self._held[action.id] = action.version, action.document
            self.sent.append((action.id, action.document, action.routing))
        return DONE if action.document or document else classify(Answer(404, delete=True))


class LossyIndex(MemoryIndex):
    """A sink for all lanes. It calls `freeze` when a worker is to stand still past its lease.

    `wrong` says which documents went back.
    """

    def __init__(self, random: Random, faults: Sequence[str] = FAULTS) -> None:
        super().__init__()
        self._random, self._faults = random, faults
        self.freeze: Callable[[], None] = lambda: None
        self._late: list[threading.Timer] = []
        self.faults = dict.fromkeys(faults, 0)

    @property
    def wrong(self) -> list[str]:
        """What is wrong with what was written, one document after the other."""
        pasts: dict[str, Past] = {}
        found = []
        for id_, document, _ in self.sent:
            if problem := pasts.setdefault(id_, Past()).see(json.loads(document or "null")):
                found.append(f"document {id_}: {problem}: {document}")
        return found

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Apply the actions now, or later, and answer, or not."""
        with self._lock:
            fault = self._random.choice(self._faults)
            self.faults[fault] += 1
            delay = self._random.random()
        if fault == "late":
            late = threading.Timer(delay * LATE, lambda: [self._apply(action) for action in actions])
            late.start()
            self._late.append(late)
            return Delivery([SILENCE] * len(actions), [])
        if fault == "frozen":
            self.freeze()
        if fault in ("frozen", "slow"):
            sleep(delay * STALLED)
        done = super().deliver(actions, deadline=deadline)
        return done if fault != "answer lost" else Delivery([SILENCE] * len(actions), [])

    def settle(self) -> None:
        """Wait until what is late has arrived."""
        while self._late:
            self._late.pop().join()


def parts_of(db: Database, index: MemoryIndex | None = None, **settings: Any) -> WorkerParts:
    """The parts of a worker in this process that delivers to this index; its database is there."""
    sink = index or MemoryIndex()
    parts = WorkerParts(load(**settings), db, sink, sink_of=lambda _: sink, ping=no_ping)
    parts.context.health.report("database", None)
    return parts
