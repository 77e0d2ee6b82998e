"""The health of the indexes that a worker writes to, as the node that answers knows it.

Only the node that is asked takes part (`local`): the leader may be the one that does not answer.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from outboxctl.domain.failures import Classification, Reason, Verdict
from outboxctl.domain.printable import brief
from outboxctl.sink.inspect.copies import without_primary
from outboxctl.sink.inspect.indices import writers
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import request

TIMED_OUT = 408  # of a health that was to wait for an index: there is none
LONGEST = 2_000  # characters of names in a request: a server takes 4,096 in all
LEADERS = ("discovered_master", "discovered_cluster_manager")  # OpenSearch says by them if there is one
STATUS = ",".join(("status", "timed_out", *LEADERS))
SHARDS = "indices.*.status,indices.*.shards.*.primary_active"
NO_LEADER = "the cluster has no leader (elected master): too few of its nodes that may lead are up"


class RedIndex(NamedTuple):
    """An index with shards, by number, that have no copy that works; `total` is the number of all shards."""

    name: str
    shards: list[int]
    total: int

    def __str__(self) -> str:
        listed = brief(", ".join(map(str, self.shards)), 60)
        word = "shard" if len(self.shards) == 1 else "shards"
        name = brief(self.name, 100)
        return f"the index {name} is red: {word} {listed} of {self.total} without a working copy"


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
    health = _health(client, names, level="cluster", filter_path=STATUS)
    if health is None:
        return [what for name in names for what in _wrong(client, [name])] if len(names) > 1 else []
    if any(health.get(each) is False for each in LEADERS):
        return [NO_LEADER]
    if health.get("status") != "red":
        return []
    shards = _health(client, names, level="shards", filter_path=SHARDS) or {}
    red = [_red(name, each) for name, each in shards.get("indices", {}).items() if each["status"] == "red"]
    if not red:
        return [NO_LEADER]  # Elasticsearch says it in no other way: all is red, and no index is
    written = _written(client, names)
    return [str(each) for each in red if each.name in written]


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


def _red(name: str, facts: dict[str, Any]) -> RedIndex:
    return RedIndex(name, without_primary(facts), len(facts.get("shards", {})))


def _written(client: Client, names: Sequence[str]) -> set[str]:
    """The indexes that take the writes of these names: an alias of several may have one that is only read."""
    held = request(client, "GET", ",".join(names), "_alias", ignore_unavailable=True)
    found: set[str] = set()
    for name in names:
        of_alias = {each: facts for each, facts in held.items() if name in facts["aliases"]}
        found |= {name} if name in held else set(writers(name, of_alias))
    return found
