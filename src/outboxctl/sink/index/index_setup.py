"""The index: created behind a write alias with an explicit mapping; counted and searched."""

from collections.abc import Mapping
from typing import Any

from outboxctl.sink.engines import SERVERLESS
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import change, refresh, request

MAPPING: dict[str, Any] = {
    # Columns beyond these are kept in the document but not indexed: an unknown one is no error.
    "dynamic": False,
    "properties": {
        "id": {"type": "keyword"},
        "entity_type": {"type": "keyword"},
        "entity_id": {"type": "keyword"},
        "library_id": {"type": "keyword"},
        "text": {"type": "text"},
        "snippet": {"type": "text"},
        "rank_score": {"type": "double"},
        "event_version": {"type": "long"},
        "created_at": {"type": "date"},
        "updated_at": {"type": "date"},
    },
}
# Tombstones of deleted documents keep a late, older write out; the engine's default is 60 s.
SETTINGS: dict[str, Any] = {
    "index.number_of_shards": 1,
    "index.number_of_replicas": 0,
    "index.gc_deletes": "1h",
}


def ensure(
    client: Client,
    name: str,
    *,
    mappings: Mapping[str, Any] = MAPPING,
    settings: Mapping[str, Any] = SETTINGS,
) -> bool:
    """Create `name` as a write alias of `name-000001` unless it exists; True if created. UsageError."""
    if exists(client, name):
        return False
    alias: Mapping[str, Any] = {name: {"is_write_index": True}}
    if client.engine is SERVERLESS:  # which has its own shards, copies and tombstones, and no such settings
        settings = {setting: value for setting, value in settings.items() if setting not in SETTINGS}
    body = {"mappings": mappings, "settings": settings, "aliases": alias}
    change(client, "PUT", f"{name}-000001", body=body, done=lambda: exists(client, name))
    return True


def exists(client: Client, name: str) -> bool:
    """Whether there is an index or alias of this name."""
    return bool(request(client, "HEAD", name, local=True))


def remove(client: Client, name: str) -> None:
    """Delete what `ensure` made, or a rebuild in its place: every index `name-…`. None is no error."""
    answer = request(client, "GET", f"{name}-*", "_alias", expand_wildcards="all")
    if answer:
        change(client, "DELETE", ",".join(answer), ignore_unavailable=True)


def count(client: Client, name: str, query: Mapping[str, Any] | None = None) -> int:
    """How many documents a search would find now (refreshes first); with a query those that match it."""
    refresh(client, name)
    body = {"query": query} if query else None
    return int(request(client, "POST", name, "_count", body=body)["count"])


def search(client: Client, name: str, text: str, *, size: int = 5) -> list[str]:
    """The snippets of the best hits for `text` in `text` and `snippet`."""
    query: Mapping[str, Any] = {"multi_match": {"query": text, "fields": ["snippet^2", "text"]}}
    answer = request(client, "POST", name, "_search", body={"query": query, "size": size})
    return [str(hit["_source"].get("snippet")) for hit in answer["hits"]["hits"]]
