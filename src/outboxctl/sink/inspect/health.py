"""The health of indexes and their shards, as the node that is asked knows it alone: the leader may hang."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from outboxctl.domain.errors import RefusedError, UnreachableError
from outboxctl.domain.printable import brief
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import request

TIMED_OUT = 408  # of a health that was to wait for an index: there is none
MOST = 3  # shards whose reason is asked for
SHARDS = "status,timed_out,indices.*.shards.*.primary_active,indices.*.shards.*.active_shards"


@dataclass(frozen=True)
class Copies:
    """Active copies of each shard of an index by its number; `away`: those without a primary, and why."""

    active: dict[int, int] = field(default_factory=dict)
    away: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class IndexHealth:
    """`status`: green, yellow or red. `copies` by index."""

    status: str = "red"
    copies: dict[str, Copies] = field(default_factory=dict)


def health(client: Client, name: str) -> IndexHealth:
    """That of an index or alias, with the reasons of three primaries that are away. Raises as `request`."""
    options = {"level": "shards", "filter_path": SHARDS, "local": True, "timeout": "0s"}
    answer = request(client, "GET", "_cluster", "health", name, absent=(TIMED_OUT,), **options) or {}
    if answer.get("timed_out"):
        return IndexHealth()
    copies = {index: _copies(facts) for index, facts in answer.get("indices", {}).items()}
    for index, each in copies.items():
        each.away.update({shard: _reason(client, index, shard) for shard in list(each.away)[:MOST]})
    return IndexHealth(str(answer.get("status", "red")), copies)


def _copies(facts: dict[str, Any]) -> Copies:
    """By an index's part of the health of its shards."""
    shards = {int(number): shard for number, shard in facts.get("shards", {}).items()}
    active = {number: int(shards[number].get("active_shards", 0)) for number in sorted(shards)}
    return Copies(active, {number: "" for number in active if not shards[number].get("primary_active")})


def _reason(client: Client, index: str, shard: int) -> str:
    """Why the primary is not assigned, in the cluster's words; empty where its leader does not say it."""
    body = {"index": index, "shard": shard, "primary": True}
    with suppress(RefusedError, UnreachableError):
        said = request(client, "POST", "_cluster", "allocation", "explain", body=body)
        why = said.get("unassigned_info", {})
        cause = " since ".join(str(why[key]) for key in ("reason", "at") if why.get(key))
        return brief(": ".join(filter(None, (cause, str(said.get("allocate_explanation", ""))))), 300)
    return ""
