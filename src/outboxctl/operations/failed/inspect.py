"""`failed show`: an event, its source row and its document side by side."""

from dataclasses import dataclass
from typing import Any

from outboxctl.core.operator.event import Event
from outboxctl.domain.errors import UnreachableError
from outboxctl.operations.failed.difference import FieldDifference, differences
from outboxctl.settings import Settings
from outboxctl.sink.index import document as documents
from outboxctl.sink.transport.open import connect

PATIENCE = 5.0  # seconds for the sink: the rest is worth showing without it


@dataclass(frozen=True)
class Inspection:
    """`event` and `source` by column; `document` is None where there is none or `sink_error` says why.

    `fingerprint` is that of its error, as `Event` has it.
    """

    event: dict[str, Any]
    fingerprint: str | None
    source: dict[str, Any] | None
    document_id: str
    document: documents.StoredDocument | None
    sink_error: str | None
    difference: list[FieldDifference] | None


def inspect(event: Event, settings: Settings) -> Inspection:
    """Look the event's document up in the index; a sink that is away is said, not raised."""
    document, error = None, None
    try:
        document = _document(event.document_id, settings)
    except UnreachableError as unreachable:
        error = str(unreachable)
    differing = None if error else differences(event.source, document.body if document else None)
    return Inspection(
        event.row, event.fingerprint, event.source, event.document_id, document, error, differing
    )


def _document(id_: str, settings: Settings) -> documents.StoredDocument | None:
    client = connect(settings, connections=1, timeout=PATIENCE)
    try:
        return documents.get(client, settings.elastic_index, id_)
    finally:
        client.close()
