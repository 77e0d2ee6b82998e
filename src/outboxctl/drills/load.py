"""The lab document's load: transactions planned by pure functions, and written by paced threads."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from time import monotonic
from uuid import UUID

from outboxctl.core.database import Database
from outboxctl.core.operator import inject

ENTITY_TYPE = "load"
WORDS = ("outbox", "event", "lease", "claim", "index", "search", "worker", "replay", "drill", "sink")
LEAST_SHARE = 10  # transactions of a writer at least


class Scenario(StrEnum):
    """What each operation does; all but `create` spend the first half of the total on creating."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    MIXED = "mixed"


DELETED = {Scenario.UPDATE: 0.0, Scenario.DELETE: 1.0, Scenario.MIXED: 0.2}  # of the second half


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
class LoadTransaction:
    """One transaction: distinct entities, all written or all deleted."""

    ids: list[UUID]
    contents: list[str]
    delete: bool


def shares(load: Load) -> list[Load]:
    """The load split over its writers, each with entities of its own: none waits for another's locks."""
    writers = max(1, min(load.concurrency, load.total // (LEAST_SHARE * load.per_transaction)))
    totals = [load.total // writers + (n < load.total % writers) for n in range(writers)]
    seeds = [None if load.seed is None else load.seed + n for n in range(writers)]
    return [replace(load, total=total, seed=seed) for total, seed in zip(totals, seeds, strict=True)]


def batches(load: Load) -> Iterator[LoadTransaction]:
    """The transactions of a load. A deleted entity is not written again: its versions would restart."""
    rng = Random(load.seed)  # noqa: S311 - test data
    alive: deque[UUID] = deque()
    for start in range(0, load.total, load.per_transaction):
        size = min(load.per_transaction, load.total - start)
        creating = load.scenario is Scenario.CREATE or start < load.total / 2 or len(alive) < size
        ids = [
            UUID(int=rng.getrandbits(128), version=4) if creating else alive.popleft() for _ in range(size)
        ]
        delete = not creating and rng.random() < DELETED[load.scenario]
        yield LoadTransaction(ids, [] if delete else [content(load.content_bytes, rng) for _ in ids], delete)
        if not delete and load.scenario is not Scenario.CREATE:
            alive.extend(ids)


def content(size: int, rng: Random) -> str:
    """Words of exactly `size` ASCII bytes."""
    words = " ".join(rng.choices(WORDS, k=size // 4 + 1))
    return words[:size].ljust(size, "x")


@dataclass(frozen=True)
class Achieved:
    """Operations written, the seconds that took, and the rate; fewer than the load's total if interrupted."""

    operations: int
    seconds: float
    per_second: float


class Generator:
    """Runs one load; ^C ends it after the transactions under way."""

    def __init__(self, database: Database, load: Load, tick: Callable[[int], None]) -> None:
        self._database, self._rate, self._tick = database, load.rate, tick
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._plans = [batches(share) for share in shares(load)]
        self._due = self._done = 0

    def run(self) -> Achieved:
        """Write everything; raises the error of a writer, after the others have ended."""
        self._started = monotonic()
        with ThreadPoolExecutor(len(self._plans)) as pool:
            writers = [pool.submit(self._write, plan) for plan in self._plans]
            try:
                wait(writers)
            except KeyboardInterrupt:
                self._stopping.set()
        for writer in writers:
            writer.result()
        seconds = monotonic() - self._started
        return Achieved(self._done, seconds, self._done / seconds if seconds else 0.0)

    def _write(self, plan: Iterator[LoadTransaction]) -> None:
        try:
            for batch in plan:
                if self._stopping.wait(self._seconds_until_due(len(batch.ids))):
                    return
                with self._database.begin() as connection:
                    if batch.delete:
                        inject.deletes(connection, entity_type=ENTITY_TYPE, ids=batch.ids)
                    else:
                        texts = batch.contents
                        inject.upserts(connection, entity_type=ENTITY_TYPE, ids=batch.ids, contents=texts)
                with self._lock:
                    self._done += len(batch.ids)
                    self._tick(len(batch.ids))
        except Exception:
            self._stopping.set()
            raise

    def _seconds_until_due(self, operations: int) -> float:
        """The rate holds on average: late ones follow at once."""
        with self._lock:
            turn, self._due = self._due, self._due + operations
        return max(0.0, self._started + turn / self._rate - monotonic()) if self._rate else 0.0
