"""Whether a document differs from its row: the rules, which are pure."""

from json import loads
from typing import Any

from outboxctl.core.documents.rows import SourceRow
from outboxctl.core.documents.source import DocumentSource
from outboxctl.domain import json_numbers
from outboxctl.domain.projection import Routing
from outboxctl.operations.verify.model import DifferenceKind
from outboxctl.sink.index.scanned import ScannedDocument, too_deep


def differs(
    row: SourceRow | None, document: ScannedDocument | None, rules: DocumentSource
) -> DifferenceKind | None:
    """How a document differs from its row, None if it does not; bodies are compared where both were read.

    Fields that the row does not have are not compared with a pipeline, which may add some. A document that is
    not where its routing leads to, or is there twice, differs.
    """
    if row is None:
        return None if document is None else DifferenceKind.EXTRA
    if row.error:
        return DifferenceKind.UNREADABLE
    if document is None:
        return DifferenceKind.MISSING
    if rules.versioned and document.version != row.version:  # a row without a version was never sent
        newer = row.version is not None and document.version > row.version
        return DifferenceKind.AHEAD if newer else DifferenceKind.STALE
    agrees = not misplaced(row, document, rules) and _equal(row, document, rules)
    return None if agrees else DifferenceKind.DIFFERENT


def _equal(row: SourceRow, document: ScannedDocument, rules: DocumentSource) -> bool:
    if not document.body or row.text is None:
        return True
    return (_same_fields if rules.projection.pipeline else same)(document.body, row.text)


def misplaced(row: SourceRow, document: ScannedDocument, rules: DocumentSource) -> bool:
    """Whether it is not in the shard that its routing leads to, or in others, too."""
    return document.copies > 1 or (
        rules.projection.routed is not Routing.NONE and document.routing != row.routing
    )


def same(body: bytes, text: str) -> bool:
    """Whether a document's body has the content of a JSON text, whatever the order of keys.

    The index keeps the bytes that a worker sent, which are those of the row's text: mostly they are equal,
    and neither is parsed. Numbers are compared by their exact value (1 is 1.0, as JSON has one kind of
    number), but true is not 1. Raises UsageError for a document that is nested too deeply.
    """
    return body == text.encode() or _same_value(_parsed(body), text)


def differing_fields(
    row: SourceRow | None, document: ScannedDocument | None, rules: DocumentSource
) -> tuple[str, ...]:
    """The fields of a row's document and of the index's that differ, those of the row first."""
    if row is None or document is None or row.text is None:
        return ()
    names: list[str] = []
    parsed = _parsed(document.body) if document.body else None
    if isinstance(parsed, dict):
        expected = json_numbers.compared(row.text)
        names = json_numbers.differing(expected, parsed)
        if rules.projection.pipeline:
            names = [name for name in names if name in expected and name in parsed]
    return (*names, *(["_routing"] if misplaced(row, document, rules) else []))


def _same_fields(body: bytes, text: str) -> bool:
    """As `same`, of the fields that the row has."""
    document, names = _parsed(body), loads(text).keys()
    return _same_value({name: document[name] for name in document.keys() & names}, text)


def _parsed(body: bytes) -> Any:
    """A document's body; its bytes as text where they are no UTF-8, which equals no row's document.

    Raises UsageError for one that is nested too deeply.
    """
    try:
        return json_numbers.compared(body)
    except UnicodeDecodeError:
        return body.decode(errors="backslashreplace")
    except RecursionError:
        raise too_deep("a document") from None


def _same_value(document: Any, text: str) -> bool:
    try:
        return json_numbers.same(document, json_numbers.compared(text))
    except RecursionError:
        raise too_deep("a row's document") from None
