"""What a declared projection makes of one event: its document as the view has it, or why there is none."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from outboxctl.core.database import Connection
from outboxctl.core.operator.failed import Event
from outboxctl.core.projections import choosing, documents
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.json_numbers import loads
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, document_id

PATIENCE = 5.0  # seconds for the view
MANY = "the event stands for many documents: a worker writes an event for each"
Reading = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True)
class ProjectedDocument:
    """The document of an event's key; `index` is empty where there is none to look into.

    `routed`: a document of the index may be in any shard. `document` is None where the view has no row, or
    where `error` says why it could not be read.
    """

    index: str = ""
    document_id: str = ""
    view: str = ""
    document: dict[str, Any] | None = None
    error: str | None = None
    routed: bool = False


def projected(reading: Reading, event: Event) -> ProjectedDocument:
    """Read what the projection of an event has for its key now; `reading` begins a transaction.

    Raises OutboxctlError where the database cannot be used at all.
    """
    with reading() as connection:
        declared = {each.name: each for each in choosing.declared(connection)}
    projection = declared.get(event.projection)
    if projection is None:
        return ProjectedDocument(error=f"no projection {brief(repr(event.projection), 80)} is in force")
    if event.row["follow"] is not None:
        return ProjectedDocument(view=str(projection.document), error=MANY)
    return _read(reading, projection, str(event.key))


def _read(reading: Reading, projection: Projection, key: str) -> ProjectedDocument:
    place = (projection.index, document_id(key), str(projection.document))
    routed = bool(projection.routing)
    try:
        with reading() as connection:
            found = documents.read(connection, projection, [key], seconds=PATIENCE)
    except ValueError as error:
        return ProjectedDocument(*place, error=brief(error), routed=routed)
    except ReadRefusedError as error:
        return ProjectedDocument(*place, error=error.words, routed=routed)
    (text,) = found.texts
    document = None if text is None else loads(text)
    return ProjectedDocument(*place, document=document, error=found.unusable.get(0), routed=routed)
