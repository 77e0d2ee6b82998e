"""Documents as they would be sent, and as they are in the index."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from outboxctl.core.documents.rows import SourceRow
from outboxctl.core.projections import pages
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.core.sql import Connection
from outboxctl.domain import json_numbers
from outboxctl.domain.errors import UsageError
from outboxctl.domain.index_names import NUMBERED
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection.known import source_of
from outboxctl.sink.index.scanned import COPIES, ScannedDocument, copies
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.request import refresh, request

PATIENCE = 60.0  # seconds to read a document


@dataclass(frozen=True)
class PreviewDifference:
    """A field whose value would be sent otherwise than it is in the index; None, too, where it is not."""

    field: str
    sent: Any
    indexed: Any


@dataclass(frozen=True)
class Preview:
    """One document: `sent` is None for a row that the view has not, `indexed` for what the index has not.

    `error`: why no document can be made of what the view has.
    """

    key: str
    id: str
    sent: Any
    indexed: Any
    differences: list[PreviewDifference]
    same: bool
    error: str = ""


def preview(
    connection: Connection, client: Client, projection: Projection, keys: Sequence[str]
) -> list[Preview]:
    """The documents of these keys (`key_text`). UsageError for a text that is no key of this projection."""
    source = source_of(projection)
    for key in keys:
        try:
            pages.castable(connection, projection.key, source.parts(key))
        except ValueError as error:
            raise UsageError(f"KEY: {error}", hint="several columns are joined by `:`") from None
        except ReadRefusedError as error:
            raise UsageError(f"KEY {brief(repr(key), 80)}: {error.words}") from None
    # One by one: what is read at once is bounded.
    rows = [row for key in keys for row in source.read(connection, [key], content=True, seconds=PATIENCE)]
    return [_compared(client, projection, row, projection.id_of(row.key)) for row in rows]


def _compared(client: Client, projection: Projection, row: SourceRow, id_: str) -> Preview:
    sent = None if row.text is None else json_numbers.loads(row.text)
    hits = _hits(client, row.alias or projection.everywhere, id_)
    indexed = json_numbers.loads(hits[0].body) if hits else None
    differences = list(_differences(projection, sent or {}, indexed or {}))
    there = [hit.routing for hit in hits]
    if row.alias and (elsewhere := _elsewhere(client, projection, row.alias, id_)):
        differences.append(PreviewDifference("_index", row.alias, elsewhere))
    if projection.routing and hits and sent is not None and there != [row.routing]:
        differences.append(PreviewDifference("_routing", row.routing, there[0] if len(there) == 1 else there))
    same = not row.error and (sent is None) == (indexed is None) and not differences
    return Preview(row.key, id_, sent, indexed, differences, same, row.error)


def _elsewhere(client: Client, projection: Projection, alias: str, id_: str) -> list[str]:
    """The other indexes of a projection that have this document, too."""
    refresh(client, projection.everywhere)
    query = {"query": {"ids": {"values": [id_]}}, "size": COPIES, "_source": False}
    found = request(client, "POST", projection.everywhere, "_search", body=query)["hits"]["hits"]
    return sorted({hit["_index"] for hit in found if NUMBERED.sub("", hit["_index"]) != alias})


def _hits(client: Client, index: str, id_: str) -> Sequence[ScannedDocument]:
    """What the index has, once for each shard; found by a search, for which no routing must be known."""
    if not id_ or not request(client, "HEAD", index):
        return []
    refresh(client, index)
    return copies(client, index, id_)


def _differences(
    projection: Projection, sent: dict[str, Any], indexed: dict[str, Any]
) -> Iterator[PreviewDifference]:
    """Fields that only the index has are no difference where an ingest pipeline may have added them."""
    for name in json_numbers.differing(sent, indexed):
        if name in sent or not projection.pipeline:
            yield PreviewDifference(name, sent.get(name), indexed.get(name))
