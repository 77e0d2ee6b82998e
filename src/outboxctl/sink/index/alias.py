"""The alias: how it is moved from one index to another in one step."""

import re
from collections.abc import Collection, Iterator, Mapping

from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.index_names import NUMBERED
from outboxctl.domain.projection import OWNER
from outboxctl.sink.index.named import Json, Named, look_for_one
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import FORBIDDEN, NOT_FOUND
from outboxctl.sink.transport.request import change, request


def new_names(client: Client, home: Named) -> tuple[str | None, str]:
    """What the old index will be called once the name is an alias, and a name for the new one."""
    uuids = {"expand_wildcards": "all", "filter_path": "*.settings.index.uuid"}
    taken = request(client, "GET", f"{home.name}-*", local=True, **uuids)
    numbered = re.compile(re.escape(home.name) + r"-(\d{6})")
    numbers = [int(match[1]) for match in map(numbered.fullmatch, taken) if match]
    following = max(numbers, default=0) + 1
    if not home.concrete:
        return home.index, f"{home.name}-{following:06}"
    return f"{home.name}-{following:06}", f"{home.name}-{following + 1:06}"


def moves(home: Named, new: str) -> list[Json]:
    """The one `_aliases` request that puts `new` in the place of what is there; searches see no gap.

    Every alias of the old index moves, with its filter and routing. `remove_index` with `add` in one
    request is atomic, so a concrete index can give its name to an alias.
    """
    aliases = home.first.aliases
    if home.concrete:
        removed: list[Json] = [{"remove_index": {"index": home.index}}]
    else:
        removed = [{"remove": {"index": home.index, "alias": alias}} for alias in aliases]
    added = aliases | {home.name: aliases.get(home.name, {}) | {"is_write_index": True}}
    return removed + [{"add": {"index": new, "alias": alias} | rest} for alias, rest in added.items()]


def swap(client: Client, home: Named, new: str) -> None:
    """Do it; UnreachableError unless the name then leads to the new index."""

    def leads() -> str | None:
        return look_for_one(client, home.name).index

    change(client, "POST", "_aliases", body={"actions": moves(home, new)}, done=lambda: leads() == new)
    if (now := leads()) != new:
        raise UnreachableError(
            f"the search engine confirmed a move of {home.name}, which leads to {now}, not to {new}",
            hint="look at GET /_alias, then run the same command again",
        )


def written(client: Client, pattern: str, projection: str) -> set[str]:
    """The aliases of this pattern by which documents are written to an index of this projection's own.

    An index that does not say whose it is (OWNER), and an alias that is there for searches, are others'.
    """
    shown = "*.aliases,*.mappings._meta"
    found = request(client, "GET", pattern, local=True, filter_path=shown, absent=(NOT_FOUND,)) or {}
    own = [each for each in found.values() if _owner(each) == projection]
    return {
        name for each in own for name, about in each.get("aliases", {}).items() if about.get("is_write_index")
    }


def _owner(index: Json) -> str | None:
    owner: str | None = index.get("mappings", {}).get("_meta", {}).get(OWNER)
    return owner


def leads_to(client: Client, names: Collection[str], others: Collection[str]) -> dict[str, set[str]]:
    """The indexes behind each of these names, and which of them are behind `others`, by their aliases.

    None for a name that is not there, or not this login's. Raises as `request`.
    """
    behind = {name: set[str]() for name in (*names, *others)}
    for name in names:
        found = request(client, "GET", name, "_alias", absent=(FORBIDDEN, NOT_FOUND)) or {}
        for index, about in found.items():
            for each in {name, index, *about["aliases"]} & behind.keys():
                behind[each].add(index)
    return behind


def meeting(behind: Mapping[str, set[str]], name: str) -> Iterator[tuple[str, str]]:
    """Another of the names and an index, for each index that both lead to, or that one is made behind."""
    for other in sorted(behind.keys() - {name}):
        pairs = ((name, other), (other, name))
        numbered = {longer for longer, shorter in pairs if NUMBERED.sub("", longer) == shorter}
        yield from ((other, index) for index in sorted(behind.get(name, set()) & behind[other] | numbered))
