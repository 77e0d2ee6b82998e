"""The copies of an index's shards: how many are active, and why a primary has none."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from outboxctl.domain.errors import RefusedError
from outboxctl.domain.printable import brief
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import request

MOST = 3  # shards whose reason is asked for


@dataclass(frozen=True)
class Copies:
    """Active copies of each shard by its number; `away`: the reason of each shard without a primary."""

    active: dict[int, int] = field(default_factory=dict)
    away: dict[int, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The number of shards."""
        return len(self.active)


def copies(client: Client, index: str, facts: dict[str, Any]) -> Copies:
    """The copies by the index's part of `GET _cluster/health/INDEX?level=shards`.

    The reasons are asked for, of up to three shards; empty where that is refused. Raises UnreachableError.
    """
    shards = {int(number): shard for number, shard in facts.get("shards", {}).items()}
    active = {number: int(shards[number].get("active_shards", 0)) for number in sorted(shards)}
    away = without_primary(facts)
    reasons = {number: _reason(client, index, number) for number in away[:MOST]}
    return Copies(active, {number: reasons.get(number, "") for number in away})


def without_primary(facts: dict[str, Any]) -> list[int]:
    """The numbers of the shards that have no active primary, sorted, by the same part of an answer."""
    shards = facts.get("shards", {})
    return sorted(int(number) for number, shard in shards.items() if not shard.get("primary_active"))


def _reason(client: Client, index: str, shard: int) -> str:
    """Why the primary is not assigned, in the cluster's words."""
    body = {"index": index, "shard": shard, "primary": True}
    with suppress(RefusedError):
        said = request(client, "POST", "_cluster", "allocation", "explain", body=body)
        why = said.get("unassigned_info", {})
        cause = " since ".join(str(why[key]) for key in ("reason", "at") if why.get(key))
        return brief(": ".join(filter(None, (cause, str(said.get("allocate_explanation", ""))))), 300)
    return ""
