"""The transactions of a load, planned before any is written; pure."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from uuid import UUID

ENTITY_TYPE = "load"
WORDS = ("outbox", "event", "lease", "claim", "index", "search", "worker", "replay", "drill", "sink")
DELETED_OF_MIXED = 0.2
LEAST_SHARE = 10  # transactions of a writer at least


class Scenario(StrEnum):
    """What each operation does; all but `create` spend the first half of the total on creating."""

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
        ids = [_new(rng) if creating else alive.popleft() for _ in range(size)]
        delete = not creating and _deletes(load.scenario, rng)
        yield LoadTransaction(ids, [] if delete else [content(load.content_bytes, rng) for _ in ids], delete)
        if not delete and load.scenario is not Scenario.CREATE:
            alive.extend(ids)


def _new(rng: Random) -> UUID:
    return UUID(int=rng.getrandbits(128), version=4)


def _deletes(scenario: Scenario, rng: Random) -> bool:
    if scenario is Scenario.MIXED:
        return rng.random() < DELETED_OF_MIXED
    return scenario is Scenario.DELETE


def content(size: int, rng: Random) -> str:
    """Words of exactly `size` ASCII bytes."""
    words = " ".join(rng.choices(WORDS, k=size // 4 + 1))
    return words[:size].ljust(size, "x")
