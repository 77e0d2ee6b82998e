"""Indexes behind an alias: what is there, a new one made ready, and the alias moved in one step."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch

from outboxctl.errors import UnreachableError, UsageError
from outboxctl.failures import Answer, Verdict, classify
from outboxctl.sink.index import MAPPING, SETTINGS
from outboxctl.sink.request import ask
from outboxctl.urls import mask

LONG = 600.0  # seconds for what moves files: a clone, its recovery
WAIT = "60s"  # for shards to be there
MARK = "outboxctl_rebuild"  # in the mapping's _meta: whose index this is, so that no other is deleted
# What an index has by itself and cannot be given.
OWN = re.compile(
    r"index\.(uuid|creation_date|version\.|provided_name|resize\.|shrink\.|history\.|blocks\."
    r"|verified_before_close|routing\.allocation\.initial_recovery\.)"
)
REFRESH, REPLICAS, TOMBSTONES = "index.refresh_interval", "index.number_of_replicas", "index.gc_deletes"
FILLING = {REFRESH: "-1", REPLICAS: "0"}
Json = dict[str, Any]


@dataclass(frozen=True)
class Home:
    """What a name leads to: `index` None if to nothing; `concrete` if the name is the index itself.

    `aliases` are those of the index, each with its filter and routing; `settings` have flat names.
    """

    name: str
    index: str | None = None
    concrete: bool = False
    documents: int = 0
    aliases: dict[str, Json] = field(default_factory=dict)
    settings: Json = field(default_factory=dict)
    mappings: Json = field(default_factory=dict)


def look(client: Elasticsearch, name: str) -> Home:
    """What is behind `name`; UsageError if it is not one index."""
    if not told(client, lambda: client.indices.exists(index=name)):
        return Home(name)
    found = told(client, lambda: client.indices.get(index=name, flat_settings=True))
    if len(found) != 1:
        raise UsageError(
            f"{name} leads to {len(found)} indexes: {', '.join(sorted(found))[:300]}",
            hint="a rebuild replaces one: take the others out of the alias first",
        )
    index, body = next(iter(found.items()))
    if body.get("data_stream"):
        raise UsageError(f"{name} is a data stream: it takes no updates", hint="use an index behind an alias")
    documents = int(told(client, lambda: client.count(index=index))["count"])
    rest = (body["aliases"], body["settings"], body["mappings"])
    return Home(name, index, index == name, documents, *rest)


def new_names(client: Elasticsearch, home: Home) -> tuple[str | None, str]:
    """What the old index will be called once the name is an alias, and a name for the new one."""
    taken = told(client, lambda: client.indices.get_alias(index=f"{home.name}-*", expand_wildcards="all"))
    numbered = re.compile(re.escape(home.name) + r"-(\d{6})")
    numbers = [int(found[1]) for found in map(numbered.fullmatch, taken) if found]
    following = max(numbers, default=0) + 1
    if not home.concrete:
        return home.index, f"{home.name}-{following:06}"
    return f"{home.name}-{following:06}", f"{home.name}-{following + 1:06}"


def body(home: Home, mappings: Json | None, settings: Json | None) -> Json:
    """The new index: as the old one, or the project's own where there is none, changed by what is given."""
    kept = {name: value for name, value in home.settings.items() if not OWN.match(name)}
    chosen = (
        {TOMBSTONES: SETTINGS[TOMBSTONES]} | (kept if home.index else flat(SETTINGS)) | flat(settings or {})
    )
    if mappings is None:
        mappings = home.mappings if home.index else MAPPING
    return {"settings": chosen, "mappings": mappings}


def flat(settings: Mapping[str, Any], prefix: str = "") -> Json:
    """Settings of any nesting under their full names, `index.` included."""
    result: Json = {}
    for name, value in settings.items():
        full = f"{prefix}{name}"
        result |= flat(value, f"{full}.") if isinstance(value, dict) else {full: value}
    if prefix:
        return result
    return {name if name.startswith("index.") else f"index.{name}": value for name, value in result.items()}


def create(client: Elasticsearch, name: str, body: Json, owner: str) -> None:
    """Create an index that is quick to fill, marked as `owner`'s, unless his is there.

    Raises UsageError for a bad body, or if somebody else's has the name.
    """
    if owned(client, name, owner):
        return
    meta = body["mappings"].get("_meta") or {}
    mappings = body["mappings"] | {"_meta": meta | {MARK: owner}}
    settings = body["settings"] | FILLING
    told(client, lambda: client.indices.create(index=name, mappings=mappings, settings=settings))


def owned(client: Elasticsearch, name: str, owner: str) -> bool:
    """Whether an index is there and carries this mark."""
    if not told(client, lambda: client.indices.exists(index=name)):
        return False
    found = told(client, lambda: client.indices.get_mapping(index=name))
    return bool(found.get(name, {}).get("mappings", {}).get("_meta", {}).get(MARK) == owner)


def make_ready(client: Elasticsearch, name: str, settings: Json) -> None:
    """Give a filled index the settings it shall have, show all documents, and wait for its copies."""
    final = {REFRESH: settings.get(REFRESH), REPLICAS: settings.get(REPLICAS)}  # None: the engine's default
    told(client, lambda: client.indices.put_settings(index=name, settings=final))
    patient = client.options(request_timeout=LONG)
    told(client, lambda: patient.indices.refresh(index=name))
    told(
        client, lambda: patient.cluster.health(index=name, wait_for_no_initializing_shards=True, timeout=WAIT)
    )


def clone(client: Elasticsearch, source: str, target: str) -> None:
    """Keep an index that is about to lose its name: no writes from here on, and a copy that takes them."""
    if not told(client, lambda: client.indices.exists(index=target)):
        told(client, lambda: client.indices.add_block(index=source, block="write"))
        patient = client.options(request_timeout=LONG)
        unblocked = {"index.blocks.write": None}
        told(client, lambda: patient.indices.clone(index=source, target=target, settings=unblocked))
    patient = client.options(request_timeout=LONG)
    told(client, lambda: patient.cluster.health(index=target, wait_for_status="yellow", timeout=WAIT))


def unblock(client: Elasticsearch, name: str) -> None:
    """Let an index take writes again."""
    if told(client, lambda: client.indices.exists(index=name)):
        settings = {"index.blocks.write": None}
        told(client, lambda: client.indices.put_settings(index=name, settings=settings))


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


def swap(client: Elasticsearch, home: Home, new: str) -> None:
    """Do it."""
    told(client, lambda: client.indices.update_aliases(actions=moves(home, new)))


def drop(client: Elasticsearch, name: str) -> bool:
    """Delete an index that no alias uses; False if it is not there. UsageError if one does."""
    if not told(client, lambda: client.indices.exists(index=name)):
        return False
    found = told(client, lambda: client.indices.get_alias(index=name))
    used = sorted(found.get(name, {}).get("aliases", {}))
    if used or name not in found:
        raise UsageError(f"{name} is in use, as {', '.join(used) or 'an alias'}: it is not deleted")
    told(client, lambda: client.indices.delete(index=name))
    return True


def told(client: Elasticsearch, call: Callable[[], Any]) -> Any:
    """The answer's body; UsageError where the request was refused for what it says, else UnreachableError."""
    answer = ask(call)
    if not isinstance(answer, Answer):
        return answer
    finding = classify(answer)
    where = ", ".join(mask(node.base_url) for node in client.transport.node_pool.all())
    if finding.verdict in (Verdict.FAIL, Verdict.SPLIT):
        raise UsageError(f"the sink at {where} refused: {finding.error}")
    raise UnreachableError(
        f"the sink at {where} failed ({finding.reason}): {finding.error}",
        hint="check ELASTIC_URL and ELASTIC_INDEX, or run `outboxctl services status`",
    )
