"""An index in memory, behind a network that loses answers and delays requests."""

import json
import threading
from collections.abc import Callable, Sequence
from random import Random
from time import sleep
from typing import NamedTuple

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import DONE, Answer, Classification, classify
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, Place
from shop.past import Past

SILENCE = classify(Answer(0, "timeout", "no answer", request=True))
LATE = 0.2  # seconds that a request may take to arrive, after its sender has given up
STALLED = 0.05  # seconds that a worker stands still, or its request takes
FEW = 2  # ids a page
FAULTS = ("none",) * 5 + ("slow", "answer lost", "late", "late", "frozen")


class Held(NamedTuple):
    """A document, or with None the tombstone of one, which stays."""

    version: int
    document: str | None


class LossyIndex:
    """A sink for all lanes. It calls `freeze` when a worker is to stand still past its lease.

    Versions are `external_gte`, as in an engine, and deleted documents keep theirs.
    """

    def __init__(self, random: Random, faults: Sequence[str] = FAULTS) -> None:
        self._random, self._faults = random, faults
        self.freeze: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._past: dict[str, Past] = {}
        self._late: list[threading.Timer] = []
        self.wrong: list[str] = []
        self.faults = dict.fromkeys(faults, 0)
        self.conflicts = 0

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """Apply the actions now, or later, and answer, or not."""
        assert deadline.seconds_left() > 0
        with self._lock:
            fault = self._random.choice(self._faults)
            self.faults[fault] += 1
            delay = self._random.random()
        if fault == "late":
            self._send_late(actions, delay * LATE)
            return Delivery([SILENCE] * len(actions), [])
        if fault == "frozen":
            self.freeze()
        if fault in ("frozen", "slow"):
            sleep(delay * STALLED)
        findings = [self._apply(action) for action in actions]
        return Delivery([*findings] if fault != "answer lost" else [SILENCE] * len(actions), [])

    def ids(self, place: Place | None, size: int) -> tuple[list[str], Place | None]:
        """A page of the ids of documents that were there when the first page was asked for."""
        left = list(place["left"]) if place else sorted(self.documents())
        size = min(size, FEW)  # else all of them are the first page
        return left[:size], {"left": left[size:]} if left[size:] else None

    def settle(self) -> None:
        """Wait until what is late has arrived."""
        while self._late:
            self._late.pop().join()

    def documents(self) -> dict[str, str]:
        """The documents that a search finds."""
        with self._lock:
            return {id_: held.document for id_, held in self._held.items() if held.document is not None}

    def _send_late(self, actions: Sequence[BulkAction], delay: float) -> None:
        request = threading.Timer(delay, lambda: [self._apply(action) for action in actions])
        request.start()
        self._late.append(request)

    def _apply(self, action: BulkAction) -> Classification:
        with self._lock:
            held = self._held.get(action.id)
            if held and action.version < held.version:
                self.conflicts += 1
                text = f"[{action.id}]: version conflict, current version [{held.version}] is higher"
                return classify(Answer(409, "version_conflict_engine_exception", text))
            shown = json.loads(action.document) if action.document else None
            problem = self._past.setdefault(action.id, Past()).see(shown)
            if problem:
                self.wrong.append(f"document {action.id}: {problem}: {held} -> {action}")
            self._held[action.id] = Held(action.version, action.document)
        if action.document is None and not (held and held.document):
            return classify(Answer(404, delete=True))
        return DONE
