"""`failed show`: an event, its source row and its document side by side."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from typing import Any

from outboxctl.core.database import Connection
from outboxctl.core.operator.failed import Event
from outboxctl.core.projections import in_force
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain import json_numbers
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection, built_in
from outboxctl.operations.projection.known import source_of
from outboxctl.settings import Settings
from outboxctl.sink.index.scanned import by_id, copies
from outboxctl.sink.transport.open import connect

PATIENCE = 5.0  # seconds for the view, and for the sink: the rest is worth showing without it
MANY = "the event stands for all documents behind a changed row of a followed table"
Begin = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True)
class FieldDifference:
    """One field that differs: `kind` is missing, differs or only there; None for a side without the field."""

    field: str
    kind: str
    source: Any
    document: Any


def differences(
    source: Mapping[str, Any] | None, document: Mapping[str, Any] | None
) -> list[FieldDifference]:
    """The fields that differ, in the source row's order; a side that is not there has no fields."""
    here, there = source or {}, document or {}
    return [
        FieldDifference(name, _kind(name, here, there), here.get(name), there.get(name))
        for name in json_numbers.differing(here, there)
    ]


def _kind(name: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    if name not in there:
        return "missing"
    return "differs" if name in here else "only there"


@dataclass(frozen=True)
class StoredDocument:
    """A document's version by the index's own count, and its body, numbers as `json_numbers.loads`."""

    version: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Inspection:
    """`event` and `source` by column; `document` is None where there is none, or `sink_error` holds why.

    `fingerprint` is that of its error, as in `Event`. For a declared projection `source` is the document of
    the event's `key` as the `view` has it now. `source_error` says why a source could not be read.
    """

    event: dict[str, Any]
    fingerprint: str | None
    source: dict[str, Any] | None = None
    document_id: str = ""
    document: StoredDocument | None = None
    sink_error: str | None = None
    difference: list[FieldDifference] | None = None
    projection: str = PROJECTION
    key: str | None = None
    view: str = ""
    source_error: str | None = None


def inspect(event: Event, settings: Settings, begin: Begin) -> Inspection:
    """Read the event's document from its source and the index; what cannot be read is in the result."""
    found = Inspection(event.row, event.fingerprint, projection=event.projection, key=event.key)
    with begin() as connection:
        in_use = (*in_force.declared(connection), built_in(settings.elastic_index))
    projection = {each.label: each for each in in_use}.get(event.projection)
    if projection is None:
        name = brief(repr(event.projection), 80)
        return replace(found, source_error=f"no projection {name} is in force")
    found = replace(found, view=str(projection.document) if projection.name else "")
    if event.row.get("follow") is not None:
        return replace(found, source_error=MANY)
    found = _with_source(found, begin, projection, event.of)
    if found.document_id:
        found = _with_document(found, settings, projection)
    if found.sink_error or found.source_error:
        return found
    body = found.document.body if found.document else None
    return replace(found, difference=differences(found.source, body))


def _with_source(found: Inspection, begin: Begin, projection: Projection, key: str) -> Inspection:
    """With what the document is made of now, or why that cannot be read."""
    found = replace(found, document_id=projection.id_of(key))
    try:
        with begin() as connection:
            source = source_of(projection)
            (row,) = source.read(connection, [key], content=True, seconds=PATIENCE)
    except ValueError as error:
        return replace(found, source_error=brief(error))
    except ReadRefusedError as error:
        return replace(found, source_error=error.words)
    found = replace(found, source_error=row.error or None)
    return found if row.text is None else replace(found, source=json_numbers.loads(row.text))


def _with_document(found: Inspection, settings: Settings, projection: Projection) -> Inspection:
    """With the document in the index, or why that cannot be read; it may be in any shard, or index."""
    where, id_ = projection.everywhere, found.document_id
    try:
        with closing(connect(settings, connections=1, timeout=PATIENCE)) as client:
            if projection.routing or projection.parted:
                held = next(iter(copies(client, where, id_)), None)
            else:
                (held,) = by_id(client, where, [id_], content=True)
        if held is None:
            return found
        body = json_numbers.loads(held.body or b"{}")
        return replace(found, document=StoredDocument(held.version, body))
    except OutboxctlError as error:
        return replace(found, sink_error=str(error))
    except RecursionError:
        return replace(found, sink_error="it is nested too deeply to be shown")
