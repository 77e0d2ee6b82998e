"""The alias: what is behind it, and how it is moved from one index to another in one step."""

import re
from dataclasses import dataclass, field
from typing import Any

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.domain.failures import Answer
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask, change, request

Json = dict[str, Any]


@dataclass(frozen=True)
class Home:
    """What a name leads to: `index` None if to nothing; `concrete` if the name is the index itself.

    `documents` is None where they cannot be counted: an ill index can be replaced all the same.
    `aliases` are those of the index, each with its filter and routing; `settings` have flat names.
    """

    name: str
    index: str | None = None
    concrete: bool = False
    documents: int | None = None
    aliases: dict[str, Json] = field(default_factory=dict)
    settings: Json = field(default_factory=dict)
    mappings: Json = field(default_factory=dict)


def look(client: Client, name: str, *, besides: str | None = None) -> Home:
    """What is behind `name`, an index that is being made put aside; UsageError if it is not one index."""
    if not request(client, "HEAD", name, local=True):
        return Home(name)
    got = request(client, "GET", name, flat_settings=True, local=True)
    indexes = {index: body for index, body in got.items() if index != besides}
    if not indexes:
        return Home(name)
    if len(indexes) != 1:
        raise UsageError(
            f"{name} leads to {len(indexes)} indexes: {', '.join(sorted(indexes))[:300]}",
            hint="a rebuild replaces one: take the others out of the alias first",
        )
    index, body = next(iter(indexes.items()))
    if body.get("data_stream"):
        raise UsageError(f"{name} is a data stream: it takes no updates", hint="use an index behind an alias")
    counted = ask(client, "GET", index, "_count")
    documents = None if isinstance(counted, Answer) else int(counted["count"])
    rest = (body["aliases"], body["settings"], body["mappings"])
    return Home(name, index, index == name, documents, *rest)


def new_names(client: Client, home: Home) -> tuple[str | None, str]:
    """What the old index will be called once the name is an alias, and a name for the new one."""
    taken = request(
        client, "GET", f"{home.name}-*", "_alias", expand_wildcards="all", **client.engine.aliases
    )
    numbered = re.compile(re.escape(home.name) + r"-(\d{6})")
    numbers = [int(match[1]) for match in map(numbered.fullmatch, taken) if match]
    following = max(numbers, default=0) + 1
    if not home.concrete:
        return home.index, f"{home.name}-{following:06}"
    return f"{home.name}-{following:06}", f"{home.name}-{following + 1:06}"


def moves(home: Home, new: str) -> list[Json]:
    """The one `_aliases` request that puts `new` in the place of what is there; searches see no gap.

    Every alias of the old index moves, with its filter and routing. `remove_index` with `add` in one
    request is atomic, so a concrete index can give its name to an alias.
    """
    if home.concrete:
        removed = [{"remove_index": {"index": home.index}}]
    else:
        removed = [{"remove": {"index": home.index, "alias": alias}} for alias in home.aliases]
    added = home.aliases | {home.name: home.aliases.get(home.name, {}) | {"is_write_index": True}}
    return removed + [{"add": {"index": new, "alias": alias} | rest} for alias, rest in added.items()]


def swap(client: Client, home: Home, new: str) -> None:
    """Do it; UnreachableError unless the name then leads to the new index."""
    actions = {"actions": moves(home, new)}
    change(client, "POST", "_aliases", body=actions, done=lambda: look(client, home.name).index == new)
    now = look(client, home.name).index
    if now != new:
        raise UnreachableError(
            f"the sink confirmed a move of {home.name}, which leads to {now}, not to {new}",
            hint="look at GET /_alias, then run the same command again",
        )
