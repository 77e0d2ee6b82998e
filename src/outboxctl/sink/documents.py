"""One document as it is in the index at this moment."""

from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from outboxctl.errors import UnreachableError
from outboxctl.sink.request import demand, error_of


@dataclass(frozen=True)
class Document:
    """A document's version by the index's own count, and its body."""

    version: int
    body: dict[str, Any]


def get(client: Elasticsearch, index: str, id_: str) -> Document | None:
    """The document, refreshed or not; None if there is none.

    Raises UnreachableError if the sink is away or has no such index.
    """
    (found,) = demand(client, lambda: client.mget(index=index, ids=[id_]))["docs"]
    if "error" in found:
        # A missing index is an error of the item (tried on Elasticsearch 9.0.4).
        kind, text = error_of(found["error"])
        hint = "check ELASTIC_INDEX"
        raise UnreachableError(f"the sink cannot look into {index} ({kind}): {text}", hint=hint)
    return Document(found["_version"], found.get("_source", {})) if found.get("found") else None
