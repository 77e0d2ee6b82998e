"""The shard that a routing leads to, and routings that lead to each shard of an index."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial

from outboxctl.domain.failures import Answer
from outboxctl.sink.index.named import described
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask

WORD = 0xFFFFFFFF
MULTIPLIERS = 0xCC9E2D51, 0x1B873593
MOST = 1_024  # parts that an index is cut into by default, so that it can be split
CHECKED = 16  # routings at least that are compared with the engine's own answer
TRIED = 100_000  # texts in search of one for each shard


class Shards:
    """The shards of one index: `number` of them, made of `parts` parts of the same size.

    The engines hash a routing by Murmur3 (32 bit, of UTF-16), and a shard holds parts that are neighbours.
    `uuid` is that of the index, once it is known.
    """

    def __init__(self, number: int, parts: int) -> None:
        self.number, self._parts, self.uuid = number, parts, ""
        self.routings = [next(t for t in map(str, range(TRIED)) if self.of(t) == n) for n in range(number)]

    def of(self, routing: str) -> int:
        """The shard of a routing (of the id, where a document has none)."""
        return hashed(routing) % self._parts // (self._parts // self.number)


class NotNamedError(Exception):
    """The shards of an index are not known now; `why`: the engine's answer, or what is wrong."""

    def __init__(self, why: Answer | str) -> None:
        super().__init__()
        self.why = why


def layout_of(client: Client, name: str, seconds: float, known: Shards | None = None) -> Shards:
    """The shards of an index or alias, `known` if it is the same; `seconds` a request. NotNamedError."""
    about = described(client, name, seconds=seconds, filter_path="*.settings")
    if isinstance(about, Answer):
        raise NotNamedError(about)
    index = about.first
    if len(about.indexes) != 1:
        raise NotNamedError(f"{name} leads to {len(about.indexes)} indexes, and routing needs one")
    if index.partitioned:
        raise NotNamedError(f"{name} has index.routing_partition_size, with which an id has several shards")
    if known and index.uuid == known.uuid:
        return known
    named = partial(_named, client, index.name, seconds)
    shards = Shards(1, 1) if index.shards == 1 else cut(index.shards, named)
    if not shards:
        raise NotNamedError(f"the shards of {name} are not known")
    shards.uuid = index.uuid
    return shards


def _named(client: Client, index: str, seconds: float, routing: str) -> int | None:
    answer = ask(client, "GET", index, "_search_shards", routing=routing, seconds=seconds)
    if isinstance(answer, Answer):
        raise NotNamedError(answer)
    found = answer["shards"]
    if len(found) != 1:
        return -1
    return int(found[0][0]["shard"]) if found[0] else None


def cut(number: int, ask: Callable[[str], int | None]) -> Shards | None:
    """The shards of an index with `number` of them; `ask` has the engine name the shard of a routing.

    It returns None for a shard that has no copy now, which the engine does not name. Into how many parts an
    index is cut is not shown everywhere: that is tried. None where nothing fits.
    """
    asked = lru_cache(None)(ask)
    for parts in _candidates(number):
        shards = Shards(number, parts)
        texts = sorted({*shards.routings, *map(str, range(CHECKED))})
        if _agree(shards, {text: asked(text) for text in texts}):
            return shards
    return None


def _agree(shards: Shards, answers: Mapping[str, int | None]) -> bool:
    """Whether these are the shards that the engine named for each text, and others where it named none."""
    named = {shard for shard in answers.values() if shard is not None}
    return bool(named) and all(
        shards.of(text) not in named if shard is None else shards.of(text) == shard
        for text, shard in answers.items()
    )


def _candidates(number: int) -> Iterator[int]:
    """Most likely first: as often halved as there is room by default, then what other settings lead to."""
    powers = [number << power for power in range(MOST.bit_length())]
    usual = [parts for parts in powers if parts <= MOST] or powers[:2]
    yield from dict.fromkeys([*reversed(usual), *powers])


@lru_cache(50_000)
def hashed(text: str) -> int:
    """Murmur3 (32 bits, with a sign) of a text in UTF-16; Python's remainders are those of the engines."""
    data = text.encode("utf-16-le", "surrogatepass")
    whole = len(data) // 4 * 4
    value = 0
    for at in range(0, whole, 4):
        value = (
            _turned(value ^ _mixed(int.from_bytes(data[at : at + 4], "little")), 13) * 5 + 0xE6546B64 & WORD
        )
    value ^= _mixed(int.from_bytes(data[whole:], "little")) if whole < len(data) else 0
    value ^= len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & WORD
    value = (value ^ value >> 13) * 0xC2B2AE35 & WORD
    value ^= value >> 16
    return value - (1 << 32) if value >> 31 else value


def _mixed(word: int) -> int:
    return _turned(word * MULTIPLIERS[0] & WORD, 15) * MULTIPLIERS[1] & WORD


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & WORD
