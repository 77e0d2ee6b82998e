"""`failed show`: an event, its source row and its document side by side."""

from dataclasses import dataclass
from typing import Any

from outboxctl.core.operator.failed import Event
from outboxctl.domain.errors import UnreachableError
from outboxctl.operations.failed.difference import FieldDifference, differences
from outboxctl.settings import Settings
from outboxctl.sink.index import document as documents
from outboxctl.sink.transport.open import connect

PATIENCE = 5.0  # seconds for the sink: the rest is worth showing without it


@dataclass(frozen=True)
class Inspection:
    """`event` and `source` by column; `document` is None where there is none or `sink_error` says why.

    `fingerprint` is that of its error, as `Event` has it. `last_replayed_logged_in_as` is, beside
    `last_replayed_by`, the database's word for who it was.
    """

    event: dict[str, Any]
    fingerprint: str | None
    source: dict[str, Any] | None
    document_id: str
    document: documents.StoredDocument | None
    sink_error: str | None
    difference: list[FieldDifference] | None
    last_replayed_logged_in_as: str | None = None


def inspect(event: Event, settings: Settings, *, replayed_as: str | None = None) -> Inspection:
    """Look the event's document up in the index; a sink that is away is said, not raised."""
    document, error = None, None
    try:
        document = _document(event.document_id, settings)
    except UnreachableError as unreachable:
        error = str(unreachable)
    differing = None if error else differences(event.source, document.body if document else None)
    found = (event.row, event.fingerprint, event.source, event.document_id)
    return Inspection(*found, document, error, differing, replayed_as)


def _document(id_: str, settings: Settings) -> documents.StoredDocument | None:
    client = connect(settings, connections=1, timeout=PATIENCE)
    try:
        return documents.get(client, settings.elastic_index, id_)
    finally:
        client.close()
