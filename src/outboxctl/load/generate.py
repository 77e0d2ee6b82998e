"""Writing a load: threads that share one plan and one clock."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, islice
from random import Random
from time import monotonic
from uuid import UUID

from outboxctl.core import inject
from outboxctl.core.database import Database

ENTITY_TYPE = "load"
WORDS = ("outbox", "event", "lease", "claim", "index", "search", "worker", "replay", "drill", "sink")


class Scenario(StrEnum):
    """What each operation does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    MIXED = "mixed"


@dataclass(frozen=True)
class Load:
    """`total` operations of `content_bytes` each; `rate` a second (0: as fast as it goes)."""

    scenario: Scenario
    total: int
    content_bytes: int
    rate: float
    concurrency: int
    per_transaction: int = 1
    seed: int | None = None


@dataclass(frozen=True)
class Achieved:
    """Operations written, the seconds that took, and the rate; fewer than asked if interrupted."""

    operations: int
    seconds: float
    per_second: float


class Generator:
    """Runs one load; `stop()` ends it after the transactions under way."""

    def __init__(self, database: Database, load: Load, tick: Callable[[int], None]) -> None:
        self._database, self._load, self._tick = database, load, tick
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._batches = _batches(load)
        self._due = 0
        self._done = 0
        self._errors: list[Exception] = []

    def run(self) -> Achieved:
        """Write everything; raises the first error of a writer, after the others have ended."""
        self._started = monotonic()
        threads = [threading.Thread(target=self._write, daemon=True) for _ in range(self._load.concurrency)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self._stopping.set()
            for thread in threads:
                thread.join()
        if self._errors:
            raise self._errors[0]
        seconds = monotonic() - self._started
        return Achieved(self._done, seconds, self._done / seconds if seconds else 0.0)

    def _write(self) -> None:
        try:
            while (batch := self._next()) is not None:
                if self._stopping.wait(self._wait_for(batch)):
                    return
                self._transaction(batch)
        except Exception as error:
            self._errors.append(error)
            self._stopping.set()

    def _next(self) -> "Batch | None":
        with self._lock:
            return next(self._batches, None)

    def _wait_for(self, batch: "Batch") -> float:
        """Seconds until this batch's turn: a slow start is caught up with, a fast one held back."""
        with self._lock:
            turn = self._due
            self._due += len(batch.ids)
        return max(0.0, self._started + turn / self._load.rate - monotonic()) if self._load.rate else 0.0

    def _transaction(self, batch: "Batch") -> None:
        with self._database.begin() as connection:
            if batch.delete:
                inject.deletes(connection, entity_type=ENTITY_TYPE, ids=batch.ids)
            else:
                inject.upserts(connection, entity_type=ENTITY_TYPE, ids=batch.ids, contents=batch.contents)
        with self._lock:
            self._done += len(batch.ids)
            self._tick(len(batch.ids))


@dataclass(frozen=True)
class Batch:
    """One transaction: distinct entities, all written or all deleted."""

    ids: list[UUID]
    contents: list[str]
    delete: bool


def _batches(load: Load) -> Iterator[Batch]:
    rng = Random(load.seed)  # noqa: S311 - test data
    entities = _entities(load, rng)
    for start in range(0, load.total, load.per_transaction):
        size = min(load.per_transaction, load.total - start)
        ids = list(islice(entities, size))
        delete = _deletes(load, start, rng)
        yield Batch(ids, [] if delete else [content(load.content_bytes, rng) for _ in ids], delete)


def _entities(load: Load, rng: Random) -> Iterator[UUID]:
    """`create`: always new ones. Otherwise each one comes back later, as often as the scenario needs."""
    fresh = (UUID(int=rng.getrandbits(128), version=4) for _ in count())
    if load.scenario is Scenario.CREATE:
        yield from fresh
    pool = list(islice(fresh, max(1, load.per_transaction, load.total // 2)))
    while True:
        yield from pool


def _deletes(load: Load, start: int, rng: Random) -> bool:
    """`delete` takes away again what its first half wrote; `mixed` one in five of its second half."""
    second_half = start >= max(1, load.per_transaction, load.total // 2)
    if load.scenario is Scenario.DELETE:
        return second_half
    return load.scenario is Scenario.MIXED and second_half and rng.random() < 1 / 5


def content(size: int, rng: Random) -> str:
    """About natural text of exactly `size` ASCII bytes."""
    words = " ".join(rng.choices(WORDS, k=size // 4 + 1))
    return words[:size].ljust(size, "x")
