"""How much is to happen, and where."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from search_cluster import SearchCluster
from storm.nodes.blows import LONGEST

RATE = 50  # events a second that are written beside a cluster
A_BLOW = 6.0  # seconds from one blow at a worker to the next, beside a cluster


@dataclass(frozen=True)
class Plan:
    """How much of everything; `kills` are blows of all kinds together, `batch` events a claim.

    `transactions` are those of the shop, whose documents a declared projection makes; 0: there is no shop.
    `stock` are its documents behind one row. An author writes to `hot` entities at a time, `per_entity`
    events to each, and waits while `backlog` events are under way. What must come is waited for `patience`
    seconds. A request is held up for at most `late` seconds, 0 for the worker's default. All takes at least
    `seconds`.
    """

    events: int = 100_000
    kills: int = 400
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
    late: float = 0
    seconds: float = 0

    def rng(self, purpose: str) -> Random:
        """Chance of its own for each purpose, so that threads do not disturb each other's."""
        return Random(f"{self.seed}/{purpose}")


def beside_a_cluster(seconds: float, *, seed: int = 1, workers: int = 3) -> Plan:
    """One of so many seconds.

    An entity is written to for about a minute, and a delete of it is likely to come while a node that got its
    document before is frozen. The worker's own waits are longer than on one node: so are the cluster's.
    """
    return Plan(
        events=int(seconds * RATE),
        kills=round(seconds / A_BLOW),
        workers=workers,
        seed=seed,
        transactions=0,
        hot=150,
        per_entity=8,
        backlog=20_000,
        patience=400,
        lease=8,
        late=min(seconds, LONGEST) + 20,
        seconds=seconds,
    )


@dataclass(frozen=True)
class Site:
    """Where it storms: a migrated, empty database, a real engine with an index, a folder for logs.

    With a `cluster` the engine is that; `sink` are the URLs of its nodes.
    """

    url: str
    sink: str
    index: str
    folder: Path
    cluster: SearchCluster | None = None

    @property
    def products(self) -> str:
        """The index of the shop."""
        return f"{self.index}-products"
