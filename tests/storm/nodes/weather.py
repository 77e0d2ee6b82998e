"""The weather of a cluster: one node at a time is killed, frozen or stopped, in the second half two."""

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import monotonic

from outboxctl.domain.errors import UnreachableError
from search_cluster import SearchCluster
from storm.nodes.blows import Dealer, NodeBlow, Role
from storm.plan import Plan, Site

GREEN = 15.0  # seconds, at most, until a node that is struck alone finds the others with all their copies
BETWEEN = (1.0, 4.0)  # seconds from a node's return to the next blow
STATES = {"up": "returns", "down": "is down", "frozen": "is frozen"}
LATE = 10.0  # seconds after which a node that woke up has sent what it was given before


class NodeWeather:
    """Two hands strike, the second from half time on; each knows which node the other has.

    `seen` counts the blows, `roles` whom they met, `errors` what went wrong.
    """

    requests = 0

    def __init__(self, plan: Plan, site: Site, cluster: SearchCluster) -> None:
        self.seen: Counter[str] = Counter()
        self.roles: Counter[Role] = Counter()
        self.errors: list[str] = []
        self._plan, self._index, self._cluster = plan, site.index, cluster
        self._ends = 0.0
        self._away: set[str] = set()
        self._lock, self._fine = threading.Lock(), threading.Event()
        self._pool = ThreadPoolExecutor(2)
        self._hands: list[Future[None]] = []
        self._whole_since: float | None = None

    @property
    def url(self) -> str:
        """Where workers send."""
        return self._cluster.url

    @property
    def news(self) -> str:
        """The nodes that are away."""
        away = [self._cluster.node(name) for name in sorted(self._away)]
        return ", ".join(f"{node.name} {STATES[node.state]}" for node in away) or "all nodes there"

    def begin(self) -> None:
        """From now on."""
        self._ends = monotonic() + self._plan.seconds
        self._hands = [self._pool.submit(self._hand, number) for number in range(2)]

    def clear(self) -> None:
        """No more blows; every node returns."""
        self._fine.set()

    def over(self) -> bool:
        """Whether all nodes are back, every copy is there, and what woke up has sent what it held."""
        if not all(hand.done() for hand in self._hands):
            return False
        for hand in self._hands:
            hand.result()
        if self._whole_since is None and self._green():
            self._whole_since = monotonic()
        return self._whole_since is not None and monotonic() > self._whole_since + LATE

    def close(self) -> None:
        """End the hands; nodes that they had return."""
        self.clear()
        self._pool.shutdown()

    def _hand(self, number: int) -> None:
        dealer = Dealer(self._plan.rng(f"nodes {number}"), [])
        self._fine.wait(number * self._plan.seconds / 2)
        while not self._fine.wait(dealer.rng.uniform(*BETWEEN)):
            if monotonic() < self._ends - self._plan.seconds / 2:
                self._until_green()
            try:
                self._strike(dealer)
            except UnreachableError as error:
                self.errors.append(f"a node did not return: {error}")

    def _strike(self, dealer: Dealer) -> None:
        blow = dealer.blow(self._ends - monotonic())
        with self._lock:
            role, name = dealer.victim(self._cluster, self._index, self._away)
            self._away.add(name)
        self.seen[blow] += 1
        self.roles[role] += 1
        try:
            self._befall(blow, name, dealer.away(blow))
        finally:
            with self._lock:
                self._away.remove(name)

    def _befall(self, blow: NodeBlow, name: str, seconds: float) -> None:
        cluster = self._cluster
        if blow in {NodeBlow.KILL, NodeBlow.END}:
            (cluster.kill if blow is NodeBlow.KILL else cluster.stop)(name)
            self._fine.wait(seconds)
            cluster.restart(name)
        else:
            cluster.freeze(name)
            self._fine.wait(seconds)
            cluster.wake(name)

    def _until_green(self) -> None:
        end = monotonic() + GREEN
        while monotonic() < end and not self._green() and not self._fine.wait(0.2):
            pass

    def _green(self) -> bool:
        with suppress(UnreachableError):
            health = self._cluster.health(self._index)
            return bool(health["status"] == "green" and health["number_of_nodes"] == len(self._cluster.nodes))
        return False
