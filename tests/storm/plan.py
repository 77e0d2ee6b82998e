"""How much is to happen, and where."""

from dataclasses import dataclass
from pathlib import Path
from random import Random


@dataclass(frozen=True)
class Plan:
    """How much of everything; `kills` are blows of all kinds together, `batch` events a claim.

    `transactions` are those of the shop, whose documents a declared projection makes; 0: there is no shop.
    `stock` are its documents behind one row. An author writes to `hot` entities at a time, `per_entity`
    events to each, and waits while `backlog` events are under way. What must come is waited for `patience`
    seconds.
    """

    events: int = 40_000
    kills: int = 160
    workers: int = 3
    batch: int = 100
    seed: int = 1
    transactions: int = 12_000
    stock: int = 2_500
    hot: int = 40
    per_entity: int = 5
    backlog: int = 1_000
    patience: float = 180
    lease: float = 2

    def rng(self, purpose: str) -> Random:
        """Chance of its own for each purpose, so that threads do not disturb each other's."""
        return Random(f"{self.seed}/{purpose}")


@dataclass(frozen=True)
class Site:
    """Where it storms: a migrated, empty database, a real engine with an index, a folder for logs."""

    url: str
    sink: str
    index: str
    folder: Path

    @property
    def products(self) -> str:
        """The index of the shop."""
        return f"{self.index}-products"
