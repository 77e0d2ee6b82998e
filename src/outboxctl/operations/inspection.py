"""`failed show`: an event, its source row and its document side by side."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from outboxctl.core.database import Connection
from outboxctl.core.operator.failed import Event
from outboxctl.core.projections import in_force
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.errors import RefusedError, UnreachableError
from outboxctl.domain.json_numbers import loads, same_json_types
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import built_in
from outboxctl.operations.projection.known import source_of
from outboxctl.settings import Settings
from outboxctl.sink.index import document as documents
from outboxctl.sink.transport.open import connect

PATIENCE = 5.0  # seconds for the view, and for the sink: the rest is worth showing without it
MANY = "the event stands for many documents: `outboxctl explain follow`"
Begin = Callable[[], AbstractContextManager[Connection]]


class FieldDifferenceKind(StrEnum):
    """What is wrong with a field of the document."""

    MISSING = "missing"
    DIFFERS = "differs"
    ONLY_THERE = "only there"


@dataclass(frozen=True)
class FieldDifference:
    """One field that differs; None for a side without the field."""

    field: str
    kind: FieldDifferenceKind
    source: Any
    document: Any


def differences(
    source: Mapping[str, Any] | None, document: Mapping[str, Any] | None
) -> list[FieldDifference]:
    """The fields that differ, in the source row's order; a side that is not there has no fields."""
    here, there = source or {}, document or {}
    kinds = {name: _kind(name, here, there) for name in dict.fromkeys((*here, *there))}
    return [
        FieldDifference(name, kind, here.get(name), there.get(name)) for name, kind in kinds.items() if kind
    ]


def _kind(name: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> FieldDifferenceKind | None:
    if name not in there:
        return FieldDifferenceKind.MISSING
    if name not in here:
        return FieldDifferenceKind.ONLY_THERE
    same = here[name] == there[name] and same_json_types(here[name], there[name])
    return None if same else FieldDifferenceKind.DIFFERS


@dataclass(frozen=True)
class Inspection:
    """`event` and `source` by column; `document` is None where there is none, or `sink_error` holds why.

    `fingerprint` is that of its error, as in `Event`. For a declared projection `source` is the document of
    the event's `key` as the `view` has it now. `source_error` says why a source could not be read.
    """

    event: dict[str, Any]
    fingerprint: str | None
    source: dict[str, Any] | None
    document_id: str
    document: documents.StoredDocument | None
    sink_error: str | None
    difference: list[FieldDifference] | None
    projection: str = PROJECTION
    key: str | None = None
    view: str = ""
    source_error: str | None = None


@dataclass(frozen=True)
class _Made:
    """What an event's document is made of now; `index` is empty where there is none to look into.

    `routed`: a document may be in any shard, or index. `document` is None where there is no row, or where
    `error` says why it cannot be read.
    """

    index: str = ""
    document_id: str = ""
    view: str = ""
    document: dict[str, Any] | None = None
    error: str | None = None
    routed: bool = False


def inspect(event: Event, settings: Settings, begin: Begin) -> Inspection:
    """Read the event's document from its source and the index; what cannot be read is in the result."""
    made = _made(begin, event, settings.elastic_index)
    document, error = _document(settings, made) if made.index and made.document_id else (None, None)
    known = made.index and not error and not made.error
    return Inspection(
        event.row,
        event.fingerprint,
        made.document,
        made.document_id,
        document,
        error,
        differences(made.document, document.body if document else None) if known else None,
        event.projection,
        event.key,
        made.view,
        made.error,
    )


def _made(begin: Begin, event: Event, index: str) -> _Made:
    """What its projection makes of an event; `index` is that of the built-in one."""
    with begin() as connection:
        known = {each.label: each for each in (*in_force.declared(connection), built_in(index))}
    projection = known.get(event.projection)
    if projection is None:
        return _Made(error=f"no projection {brief(repr(event.projection), 80)} is in force")
    view = str(projection.document) if projection.name else ""
    if event.row.get("follow") is not None:
        return _Made(view=view, error=MANY)
    anywhere = bool(projection.routing) or projection.parted
    made = _Made(projection.everywhere, projection.id_of(event.of), view, routed=anywhere)
    try:
        with begin() as connection:
            source = source_of(projection)
            (row,) = source.read(connection, [event.of], content=True, seconds=PATIENCE)
    except ValueError as error:
        return replace(made, error=brief(error))
    except ReadRefusedError as error:
        return replace(made, error=error.words)
    document = None if row.text is None else loads(row.text)
    return replace(made, document_id=row.id or made.document_id, document=document, error=row.error or None)


def _document(settings: Settings, made: _Made) -> tuple[documents.StoredDocument | None, str | None]:
    """The document in the index, or why it could not be read."""
    try:
        with closing(connect(settings, connections=1, timeout=PATIENCE)) as client:
            read = documents.search if made.routed else documents.get
            return read(client, made.index, made.document_id), None
    except (RefusedError, UnreachableError) as error:
        return None, str(error)
