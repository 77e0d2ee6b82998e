"""One document as it is in the index at this moment."""

from dataclasses import dataclass
from typing import Any

from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.failures import Answer
from outboxctl.domain.json_numbers import loads
from outboxctl.domain.redaction import cut
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import error_of
from outboxctl.sink.transport.request import failure, request


@dataclass(frozen=True)
class StoredDocument:
    """A document's version by the index's own count, and its body, numbers as `json_numbers.loads`."""

    version: int
    body: dict[str, Any]


def search(client: Client, index: str, id_: str) -> StoredDocument | None:
    """The document in whichever shard it is, as it was at the last refresh; None if there is none.

    Raises UnreachableError as `get`.
    """
    body = {"query": {"ids": {"values": [id_]}}, "version": True, "size": 1}
    answer = request(
        client, "POST", index, "_search", decode=loads, body=body, allow_partial_search_results=False
    )
    hits = answer["hits"]["hits"]
    return StoredDocument(hits[0]["_version"], hits[0].get("_source", {})) if hits else None


def get(client: Client, index: str, id_: str) -> StoredDocument | None:
    """The document, refreshed or not; None if there is none.

    Raises UnreachableError if the sink is unreachable, has no such index, or sends another answer.
    """
    answer = request(client, "POST", index, "_mget", decode=loads, body={"ids": [id_]})
    match answer:
        case {"docs": [{"error": error}]}:
            # A missing index is an error of the item (tried on Elasticsearch 9.0.4).
            kind, text = error_of(error)
            hint = "check ELASTIC_INDEX"
            raise UnreachableError(f"the sink cannot look into {index} ({kind}): {text}", hint=hint)
        case {"docs": [{"found": False}]}:
            return None
        case {"docs": [{"found": True, "_version": int(version), "_source": dict(body)}]}:
            return StoredDocument(version, body)
        case {"docs": [{"found": True, "_version": int(version), **rest}]} if "_source" not in rest:
            return StoredDocument(version, {})  # the index's mapping says to keep none
    raise failure(Answer(200, "bad_response", cut(f"no answer of mget: {answer}", 500), request=True))
