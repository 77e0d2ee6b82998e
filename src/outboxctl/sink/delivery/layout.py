"""How an index is cut into shards, as the engine itself says."""

from outboxctl.domain.failures import Answer
from outboxctl.sink.delivery import shards
from outboxctl.sink.delivery.shards import Shards
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask

PARTITIONED = "index.routing_partition_size"  # above 1 an id has several shards
ONE = Shards(1, 1)
LOOK_SECONDS = 2.0  # that the engine may take to describe an index, or one shard of it


def layout_of(client: Client, index: str) -> Shards | None:
    """The shards of an index, or of the one behind an alias; None where they are not known now."""
    answer = ask(client, "GET", index, "_settings", flat_settings=True, seconds=LOOK_SECONDS)
    if isinstance(answer, Answer) or len(answer) != 1:
        return None
    settings = next(iter(answer.values())).get("settings", {})
    number = int(settings.get("index.number_of_shards", 0))
    if int(settings.get(PARTITIONED, 1)) > 1 or number < 1:
        return None
    return ONE if number == 1 else shards.cut(number, lambda routing: _named(client, index, routing))


def named_shard(
    client: Client, index: str, routing: str, *, seconds: float | None = None
) -> int | Answer | None:
    """The shard of a routing by the engine's own answer: None where it has no copy, -1 if not one shard."""
    answer = ask(client, "GET", index, "_search_shards", routing=routing, seconds=seconds)
    if isinstance(answer, Answer):
        return answer
    found = answer["shards"]
    if len(found) != 1:
        return -1
    return int(found[0][0]["shard"]) if found[0] else None


def _named(client: Client, index: str, routing: str) -> int | None:
    named = named_shard(client, index, routing, seconds=LOOK_SECONDS)
    return -1 if isinstance(named, Answer) else named
