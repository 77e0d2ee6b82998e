"""What is known of the shards of an index that take nothing."""

from dataclasses import dataclass, field

from outboxctl.domain.failures import Classification
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.shards import Shards


@dataclass
class ShardOutage:
    """What is known of one shard: the engine's words, when to probe it, and how many probes failed."""

    finding: Classification
    next_probe: float
    failed: int = 0


@dataclass
class ShardOutages:
    """The unavailable shards of one index, by number; `layout` leads from ids to shards, None if unknown."""

    index: str
    layout: Shards | None
    looked_at: float
    shards: dict[int, ShardOutage] = field(default_factory=dict)

    @property
    def total(self) -> bool:
        """Whether all shards are unavailable."""
        return self.layout is not None and len(self.shards) >= self.layout.number

    def shard_of(self, action: BulkAction) -> int:
        """The shard of an action, if it is an unavailable one, else -1."""
        shard = self.layout.of(action.routing or action.id) if self.layout else -1
        return shard if shard in self.shards else -1
