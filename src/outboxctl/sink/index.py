"""The index: created behind a write alias with an explicit mapping; counted and searched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from outboxctl.errors import UnreachableError
from outboxctl.sink.error import error_of
from outboxctl.sink.request import HINT
from outboxctl.sink.request import demand as _body
from outboxctl.wording import brief

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
SETTINGS: dict[str, Any] = {"number_of_shards": 1, "number_of_replicas": 0, "index.gc_deletes": "1h"}


@dataclass(frozen=True)
class Hit:
    """One search result."""

    id: str
    score: float
    snippet: str


def ensure(client: Elasticsearch, name: str) -> bool:
    """Create `name` as a write alias of `name-000001` unless it exists; True if it was created."""
    if exists(client, name):
        return False
    alias: Mapping[str, Any] = {name: {"is_write_index": True}}
    _body(
        client,
        lambda: client.indices.create(
            index=f"{name}-000001", mappings=MAPPING, settings=SETTINGS, aliases=alias
        ),
    )
    return True


def exists(client: Elasticsearch, name: str) -> bool:
    """Whether there is an index or alias of this name."""
    return bool(_body(client, lambda: client.indices.exists(index=name)))


def remove(client: Elasticsearch, name: str) -> None:
    """Delete what `ensure` made, or a rebuild in its place: every index `name-…`. None is no error."""
    found = _body(client, lambda: client.indices.get_alias(index=f"{name}-*", expand_wildcards="all"))
    if found:
        _body(client, lambda: client.indices.delete(index=list(found), ignore_unavailable=True))


def count(client: Elasticsearch, name: str) -> int:
    """How many documents a search would find now (refreshes first)."""
    _body(client, lambda: client.indices.refresh(index=name))
    return int(_body(client, lambda: client.count(index=name))["count"])


def search(client: Elasticsearch, name: str, text: str, *, size: int = 5) -> list[Hit]:
    """The best hits for `text` in `text` and `snippet`."""
    query: Mapping[str, Any] = {"multi_match": {"query": text, "fields": ["snippet^2", "text"]}}
    found = _body(client, lambda: client.search(index=name, query=query, size=size))
    return [
        Hit(hit["_id"], float(hit["_score"] or 0), str(hit["_source"].get("snippet")))
        for hit in found["hits"]["hits"]
    ]


def found(client: Elasticsearch, name: str, ids: Sequence[str]) -> list[str]:
    """Those of these documents that a search finds now: of what came since the last refresh, none."""
    query: Mapping[str, Any] = {"ids": {"values": list(ids)}}
    said = _body(client, lambda: client.search(index=name, query=query, size=len(ids), source=False))
    return [hit["_id"] for hit in said["hits"]["hits"]]


def versions(client: Elasticsearch, name: str, ids: Sequence[str]) -> dict[str, int | None]:
    """The version of each document by id, None where there is none; UnreachableError if there is no index."""
    found = _body(client, lambda: client.mget(index=name, ids=list(ids), source=False))
    refused = next((doc["error"] for doc in found["docs"] if "error" in doc), None)
    if refused:  # a request for many documents succeeds all the same
        kind, reason = error_of(refused)
        raise UnreachableError(f"the index {name} cannot be read: {kind}: {brief(reason, 300)}", hint=HINT)
    return {doc["_id"]: doc["_version"] if doc.get("found") else None for doc in found["docs"]}
