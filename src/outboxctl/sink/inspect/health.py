"""The health of indexes and their shards, as the node that is asked knows it alone: the leader may hang."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from outboxctl.domain.errors import RefusedError, UnreachableError
from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.sink.index.named import Index, look
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import request

TIMED_OUT = 408  # of a health that was to wait for an index: there is none
LONGEST = 2_000  # characters of names in a request: a server takes 4,096 in all
MOST = 3  # shards whose reason is asked for
LEADERS = ("discovered_master", "discovered_cluster_manager")  # OpenSearch says by them if there is one
STATUS = ",".join(("status", "timed_out", *LEADERS))
SHARDS = f"{STATUS},indices.*.status,indices.*.shards.*.primary_active,indices.*.shards.*.active_shards"
NO_LEADER = "the cluster has no leader (elected master): too few of its nodes that may lead are up"


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
    answer = _health(client, [name], level="shards", filter_path=SHARDS) or {}
    copies = {index: _copies(facts) for index, facts in answer.get("indices", {}).items()}
    for index, each in copies.items():
        each.away.update({shard: _reason(client, index, shard) for shard in list(each.away)[:MOST]})
    return IndexHealth(str(answer.get("status", "red")), copies)


def health_problem(client: Client, names: Sequence[str]) -> Classification | None:
    """What keeps the indexes behind these names (indexes or aliases) from taking all writes, None if nothing.

    A name that is not there is left out. Raises RefusedError where the health may not be asked for, and
    UnreachableError.
    """
    found = dict.fromkeys(what for some in _groups(names) for what in _wrong(client, some))
    if not found:
        return None
    text = brief(f"{Reason.UNAVAILABLE}: {'; '.join(found)}", 300)
    return Classification(Verdict.OUTAGE, Reason.UNAVAILABLE, error=text, own_text=True)


def _wrong(client: Client, names: Sequence[str]) -> list[str]:
    answer = _health(client, names, level="cluster", filter_path=STATUS)
    if answer is None:
        return [what for name in names for what in _wrong(client, [name])] if len(names) > 1 else []
    if any(answer.get(each) is False for each in LEADERS):
        return [NO_LEADER]
    if answer.get("status") != "red":
        return []
    shards = _health(client, names, level="shards", filter_path=SHARDS) or {}
    red = {name: each for name, each in shards.get("indices", {}).items() if each["status"] == "red"}
    if not red:
        return [NO_LEADER]  # Elasticsearch says it in no other way: all is red, and no index is
    written = {each.name for name in names for each in _written(client, name)}
    return [_red(name, _copies(facts)) for name, facts in red.items() if name in written]


def _written(client: Client, name: str) -> list[Index]:
    """The index that takes the documents of this name; of a pattern all."""
    found = look(client, name)
    return found.indexes if "*" in name else [each for each in (found.writes_to,) if each]


def _groups(names: Sequence[str]) -> Iterator[list[str]]:
    """The names, in as many lists as requests are needed."""
    some: list[str] = []
    for name in dict.fromkeys(names):
        if some and len(",".join([*some, name])) > LONGEST:
            yield some
            some = []
        some.append(name)
    yield some


def _health(client: Client, names: Sequence[str], **options: Any) -> dict[str, Any] | None:
    """The health of these names; None where one of them is not there. Raises as `health_problem`."""
    path = ("_cluster", "health", ",".join(names))
    answer = request(client, "GET", *path, absent=(TIMED_OUT,), local=True, timeout="0s", **options)
    return None if answer is None or answer.get("timed_out") else dict(answer)


def _copies(facts: dict[str, Any]) -> Copies:
    """By an index's part of the health of its shards."""
    shards = {int(number): shard for number, shard in facts.get("shards", {}).items()}
    active = {number: int(shards[number].get("active_shards", 0)) for number in sorted(shards)}
    return Copies(active, {number: "" for number in active if not shards[number].get("primary_active")})


def _red(name: str, copies: Copies) -> str:
    listed = brief(", ".join(map(str, copies.away)), 60)
    word = "shard" if len(copies.away) == 1 else "shards"
    return (
        f"the index {brief(name, 100)} is red: {word} {listed} of {len(copies.active)} without a working copy"
    )


def _reason(client: Client, index: str, shard: int) -> str:
    """Why the primary is not assigned, in the cluster's words; empty where its leader does not say it."""
    body = {"index": index, "shard": shard, "primary": True}
    with suppress(RefusedError, UnreachableError):
        said = request(client, "POST", "_cluster", "allocation", "explain", body=body)
        why = said.get("unassigned_info", {})
        cause = " since ".join(str(why[key]) for key in ("reason", "at") if why.get(key))
        return brief(": ".join(filter(None, (cause, str(said.get("allocate_explanation", ""))))), 300)
    return ""
