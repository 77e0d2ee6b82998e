"""What befalls a node, and which node."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from outboxctl.domain.errors import UnreachableError
from search_cluster import SearchCluster


class NodeBlow(StrEnum):
    """What befalls a node."""

    KILL = "kill -9"
    END = "SIGTERM"
    PAUSE = "SIGSTOP for some seconds"
    FREEZE = "SIGSTOP past the cluster's detection"
    LONG = "SIGSTOP past gc_deletes"


class Role(StrEnum):
    """Which node it is."""

    ANY = "any node"
    LEADER = "the leader"
    PRIMARY = "the node of a primary"


# Seconds that the node is away: killed until it is started, frozen until it wakes. The others give a silent
# node up after 30 s. A tombstone is forgotten up to a quarter of gc_deletes (60 s) after its time.
AWAY = {
    NodeBlow.KILL: (1.0, 12.0),
    NodeBlow.END: (0.0, 8.0),
    NodeBlow.PAUSE: (1.0, 15.0),
    NodeBlow.FREEZE: (34.0, 45.0),
    NodeBlow.LONG: (80.0, 95.0),
}
LONGEST = AWAY[NodeBlow.LONG][1]
# One deck is dealt before the next is shuffled.
DECK = [*2 * [NodeBlow.KILL], NodeBlow.END, *2 * [NodeBlow.PAUSE], NodeBlow.FREEZE, NodeBlow.LONG]
SHARDS = 3


@dataclass
class Dealer:
    """Draws blows in decks, and who is struck."""

    rng: Random
    deck: list[NodeBlow]

    def blow(self, left: float) -> NodeBlow:
        """The next one of the deck that is over within `left` seconds; the shortest where none is."""
        fit = [blow for blow in self.deck if AWAY[blow][1] <= left]
        if not fit:
            self.deck += self.rng.sample(DECK, len(DECK))
            fit = [blow for blow in self.deck if AWAY[blow][1] <= left] or [NodeBlow.END]
        if fit[0] in self.deck:
            self.deck.remove(fit[0])
        return fit[0]

    def away(self, blow: NodeBlow) -> float:
        """For how many seconds."""
        return self.rng.uniform(*AWAY[blow])

    def victim(self, cluster: SearchCluster, index: str, away: set[str]) -> tuple[Role, str]:
        """A node that is not away, by its role where it can be found out."""
        role, shard = self.rng.choice([*Role]), self.rng.randrange(SHARDS)
        fit = [node.name for node in cluster.nodes if node.name not in away]
        anyone = self.rng.choice(fit)
        named = _named(role, cluster, index, shard)
        return (role, named) if named in fit else (Role.ANY, anyone)


def _named(role: Role, cluster: SearchCluster, index: str, shard: int) -> str | None:
    if role is Role.LEADER:
        return cluster.leader()
    try:
        return cluster.holder(index, shard) if role is Role.PRIMARY else None
    except UnreachableError:
        return None
