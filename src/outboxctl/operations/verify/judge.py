"""Whether an entity differs: the rules, which are pure, and the second reading of suspects by id."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from outboxctl.core.database import Database
from outboxctl.core.documents import readable
from outboxctl.core.documents.entities import EntityStates, SourceRow
from outboxctl.domain import json_numbers
from outboxctl.domain.json_numbers import same_json_types
from outboxctl.operations.verify.model import Difference, DifferenceKind, is_utf8, key_of
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.index.scanned import ScannedDocument, too_deep


def judge(
    id_: str, before: EntityStates, document: ScannedDocument | None, after: EntityStates
) -> Difference | None:
    """How an entity differs, None if it does not.

    `document` was read after `before` and before `after`. If no event was in flight at either, and the row is
    still the same, then what the row holds was delivered before the document was read.
    """
    if error := before.errors.get(id_):
        version = document.version if document else None
        return Difference(DifferenceKind.UNREADABLE, id_, None, version, id_ in before.in_flight, error=error)
    row = before.rows.get(id_)
    kind = differs(row, document)
    if kind is None:
        return None
    in_flight = id_ in before.in_flight or id_ in after.in_flight or row != after.rows.get(id_)
    fence = (document.seq_no, document.primary_term) if document else (None, None)
    version = document.version if document else None
    return Difference(kind, id_, row and row.version, version, in_flight, *fence)


def differs(row: SourceRow | None, document: ScannedDocument | None) -> DifferenceKind | None:
    """How a document differs from its row, None if it does not; bodies are compared where both were read."""
    if row is None:
        return None if document is None else DifferenceKind.EXTRA
    if document is None:
        return DifferenceKind.MISSING
    if row.version is None or document.version < row.version:  # a row without a version was never sent
        return DifferenceKind.STALE
    if document.version > row.version:
        return DifferenceKind.AHEAD
    if row.document is None or not document.body:
        return None
    return None if same(document.body, row.document) else DifferenceKind.ALTERED


NESTED_OR_BOOL = {bool, dict, list}  # types for which equality does not suffice: True == 1


def same(body: bytes, text: str) -> bool:
    """Whether a document's body has the content of a JSON text, whatever the order of keys.

    The index keeps the bytes that a worker sent, which are those of the row's text: mostly they are equal,
    and neither is parsed. Numbers are compared by their exact value (1 is 1.0, as JSON has one kind of
    number), but true is not 1. Raises UsageError for a document that is nested too deeply.
    """
    return body == text.encode(errors="surrogateescape") or same_value(parsed(body), text)


def parsed(body: bytes) -> Any:
    """A document's body; its bytes as text where they are no UTF-8, which equals no row's document.

    Raises UsageError for one that is nested too deeply.
    """
    try:
        return json_numbers.compared(body)
    except UnicodeDecodeError:
        return body.decode(errors="backslashreplace")
    except RecursionError:
        raise too_deep("a document") from None


def same_value(document: Any, text: str) -> bool:
    """As `same`, of a document that was parsed."""
    try:
        return _same(document, json_numbers.compared(text))
    except RecursionError:
        raise too_deep("a row's document") from None


def differing_fields(body: bytes, text: str) -> list[str]:
    """The fields of a row's document and of the index's that differ, those of the row first."""
    document, expected = parsed(body), json_numbers.compared(text)
    if not isinstance(document, dict):
        return []
    names = dict.fromkeys([*expected, *document])
    both = document.keys() & expected.keys()
    return [name for name in names if name not in both or not _same(document[name], expected[name])]


def _same(document: Any, expected: Any) -> bool:
    # Equality alone is quick, and decides nearly all cases.
    return document == expected and (_plain(document, expected) or same_json_types(document, expected))


def _plain(left: Any, right: Any) -> bool:
    return isinstance(left, dict) and NESTED_OR_BOOL.isdisjoint(map(type, (*left.values(), *right.values())))


class Review:
    """The second reading of the suspects of one comparison."""

    def __init__(self, database: Database, reader: Reader, *, content: bool) -> None:
        self._database, self._reader, self._content = database, reader, content

    def of(self, suspects: Sequence[str]) -> Iterator[Difference]:
        """Yield those of these ids that do differ."""
        yield from (
            Difference(DifferenceKind.MISSING, id_, None, None) for id_ in suspects if not is_utf8(id_)
        )
        ids = [id_ for id_ in suspects if is_utf8(id_)]
        before = self._state(ids)
        documents = dict(zip(ids, self._reader.get(ids, content=self._content), strict=True))
        after = self._state(_unsettled(before, documents))
        judged = (judge(id_, before, documents[id_], after) for id_ in documents)
        yield from (difference for difference in judged if difference)

    def _state(self, ids: Iterable[str]) -> EntityStates:
        keys = [key for key in map(key_of, ids) if key]
        return readable.state(self._database, keys)


def _unsettled(state: EntityStates, documents: dict[str, ScannedDocument | None]) -> Iterator[str]:
    """What differs with no event in flight: for the others the backlog need not be read again."""
    for id_, document in documents.items():
        if id_ not in state.in_flight | state.errors.keys() and differs(state.rows.get(id_), document):
            yield id_
