"""Making an index: from nothing to ready, kept under another name, or deleted."""

import re
from collections.abc import Mapping
from typing import Any

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.sink.index.index_setup import MAPPING, SETTINGS, count, exists
from outboxctl.sink.index.named import Index, Json, Named, look
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import ask, change, refresh

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


def body(home: Named, mappings: Json | None, settings: Json | None) -> Json:
    """The new index: as the old one, or the project's own where there is none, changed by what is given."""
    kept = {name: value for name, value in home.first.settings.items() if not OWN.match(name)}
    chosen = {TOMBSTONES: SETTINGS[TOMBSTONES]} | (kept if home.index else SETTINGS) | flat(settings or {})
    if mappings is None:
        mappings = home.first.mapping if home.index else MAPPING
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


def create(client: Client, name: str, body: Json, owner: str) -> None:
    """Create an index that is quick to fill, marked as `owner`'s, unless his is there. UsageError."""
    if not owned(client, name, owner):
        meta = body["mappings"].get("_meta") or {}
        mappings = body["mappings"] | {"_meta": meta | {MARK: owner}}
        whole = {"mappings": mappings, "settings": body["settings"] | FILLING}
        change(client, "PUT", name, body=whole, done=lambda: owned(client, name, owner))
    withdraw(client, name)


def withdraw(client: Client, name: str) -> None:
    """Take away the aliases of a new index: a template may have put it behind the very one, too early."""
    early = [{"remove": {"index": name, "alias": alias}} for alias in uses(client, name)]
    if early:
        change(client, "POST", "_aliases", body={"actions": early})


def owned(client: Client, name: str, owner: str) -> bool:
    """Whether an index is there and carries this mark."""
    return bool(_itself(client, name).mapping.get("_meta", {}).get(MARK) == owner)


def make_ready(client: Client, name: str, settings: Json) -> None:
    """Give a filled index the settings it shall have, show all documents, and wait for its copies."""
    final = {REFRESH: settings.get(REFRESH), REPLICAS: settings.get(REPLICAS)}  # None: the engine's default
    change(client, "PUT", name, "_settings", body=final, done=lambda: has(client, name, final))
    refresh(client, name, LONG)
    copied: Json = {"wait_for_no_initializing_shards": True, "timeout": WAIT}
    # A key for this index alone may not ask for health: then nobody waits.
    ask(client, "GET", "_cluster", "health", name, seconds=LONG, **copied)


def mark(client: Client, name: str, owner: str) -> None:
    """Mark an index about to be replaced, so that `owner` may delete it later; unmarked it is nobody's."""
    meta = _itself(client, name).mapping.get("_meta", {})
    ask(client, "PUT", name, "_mapping", body={"_meta": meta | {MARK: owner}})


def clone(client: Client, source: str, target: str, owner: str) -> None:
    """Keep an index that is about to lose its name: no writes from here on, and a copy that takes them.

    `source` is marked as `owner`'s, and so is its copy from its first moment. A copy of an earlier try
    is made again: writes may have gone to `source` since. Raises UsageError if somebody else's index
    has the name, UnreachableError if the copy has not all documents.
    """
    if owned(client, target, owner):
        drop(client, target)
    if exists(client, target):
        hint = "delete it or call it something else, or end this rebuild: `outboxctl index abort`"
        raise UsageError(f"{target}, where {source} was to be kept, is somebody else's index", hint=hint)
    block(client, source)
    unblocked = {"settings": {"index.blocks.write": None}}
    more: Json = {"timeout": WAIT, "seconds": LONG, "done": lambda: owned(client, target, owner)}
    change(client, "PUT", source, "_clone", target, body=unblocked, **more)
    if count(client, source) != count(client, target):
        raise UnreachableError(f"{target}, the copy of {source}, is not complete", hint="run the same again")


def block(client: Client, name: str) -> None:
    """Let an index take no more writes; those begun have ended then. UnreachableError."""
    blocked = {"index.blocks.write": "true"}
    change(client, "PUT", name, "_block", "write", done=lambda: has(client, name, blocked))
    if not has(client, name, blocked):
        raise UnreachableError(
            f"{name} still takes writes: a shard of it did not end those under way", hint="run the same again"
        )


def unblock(client: Client, name: str) -> None:
    """Let an index take writes again."""
    if exists(client, name):
        free = {"index.blocks.write": None}
        change(client, "PUT", name, "_settings", body=free, done=lambda: has(client, name, free))


def map_fields(client: Client, name: str, properties: Json) -> None:
    """Add fields to an index's mapping. UsageError if it refuses them."""
    change(client, "PUT", name, "_mapping", body={"properties": properties})


def drop(client: Client, name: str) -> None:
    """Delete an index that no alias uses. UsageError if one does."""
    used = uses(client, name)
    if used:
        raise UsageError(f"{name} is in use, as {', '.join(used)}: it is not deleted")
    change(client, "DELETE", name, done=lambda: not exists(client, name))


def has(client: Client, name: str, wanted: Json) -> bool:
    """Whether an index has these settings (flat names), None for one that is not set."""
    held = _itself(client, name).settings
    return all(held.get(key) == (None if value is None else str(value)) for key, value in wanted.items())


def uses(client: Client, name: str) -> list[str]:
    """The aliases that lead to an index."""
    return sorted(_itself(client, name).aliases)


def _itself(client: Client, name: str) -> Index:
    """The index that has this very name, empty as `Named.first` where there is none. Raises as `request`."""
    found = look(client, name)
    return found.first if found.concrete else Index("")
