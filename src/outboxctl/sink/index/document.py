"""Documents by id, as they are in the index at this moment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.json_numbers import loads
from outboxctl.domain.printable import brief
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import Decode, error_of
from outboxctl.sink.transport.request import HINT, request, shaped


@dataclass(frozen=True)
class StoredDocument:
    """A document's version by the index's own count, and its body, numbers as `json_numbers.loads`."""

    version: int
    body: dict[str, Any]


def search(client: Client, index: str, id_: str) -> StoredDocument | None:
    """The document in whichever shard it is, as it was at the last refresh; None if there is none."""
    body = {"query": {"ids": {"values": [id_]}}, "version": True, "size": 1}
    answer = request(
        client, "POST", index, "_search", decode=loads, body=body, allow_partial_search_results=False
    )
    hits = answer["hits"]["hits"]
    return _stored(hits[0]) if hits else None


def get(client: Client, index: str, id_: str) -> StoredDocument | None:
    """The document, refreshed or not; None if there is none. Raises as `by_id`."""
    return shaped(lambda: next(map(_stored, by_id(client, index, [id_], decode=loads).values()), None))


def versions(client: Client, index: str, ids: Sequence[str]) -> dict[str, int | None]:
    """The version of each document by id, None where there is none. Raises as `by_id`."""
    found = by_id(client, index, ids, _source=False)
    return {id_: found[id_]["_version"] if id_ in found else None for id_ in ids}


def by_id(
    client: Client, index: str, ids: Sequence[str], *, decode: Decode = json.loads, **options: Any
) -> dict[str, Mapping[str, Any]]:
    """What the index has of these documents, refreshed or not. UnreachableError if it cannot be read."""
    answer = request(client, "POST", index, "_mget", decode=decode, body={"ids": list(ids)}, **options)
    refused = next((doc["error"] for doc in answer["docs"] if "error" in doc), None)
    if refused:
        kind, reason = error_of(refused)
        raise UnreachableError(f"the index {index} cannot be read: {kind}: {brief(reason, 300)}", hint=HINT)
    return {doc["_id"]: doc for doc in answer["docs"] if doc.get("found")}


def _stored(found: Mapping[str, Any]) -> StoredDocument:
    """Without a body where the index's mapping says to keep none."""
    return StoredDocument(found["_version"], found.get("_source", {}))
