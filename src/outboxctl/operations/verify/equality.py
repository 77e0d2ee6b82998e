"""Whether a document in the index is the document of its row; pure."""

from json import loads
from typing import Any

from outboxctl.domain.json_equality import same_json_types
from outboxctl.sink.index.shape import too_deep

LOOSE = {bool, dict, list}  # types that equality looks through or into: True == 1


def same(document: Any, text: str) -> bool:
    """Whether a parsed document has the content of a JSON text: the order of keys is no content.

    Numbers are compared by value (1 is 1.0, as JSON has one kind of number), but true is not 1.
    Raises UsageError for a document that is nested too deeply.
    """
    try:
        return _same(document, loads(text))
    except RecursionError:
        raise too_deep("a row's document") from None


def _same(document: Any, expected: Any) -> bool:
    # Equality alone is quick, and nearly always all there is to ask.
    return document == expected and (_plain(document, expected) or same_json_types(document, expected))


def _plain(left: Any, right: Any) -> bool:
    return isinstance(left, dict) and LOOSE.isdisjoint(map(type, (*left.values(), *right.values())))
