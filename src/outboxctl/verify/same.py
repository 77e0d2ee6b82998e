"""Whether a document in the index is the document of its row; pure."""

from json import loads
from typing import Any

from outboxctl.alike import alike

LOOSE = {bool, dict, list}  # types that equality looks through or into: True == 1


def same(document: Any, text: str) -> bool:
    """Whether a parsed document has the content of a JSON text: the order of keys is no content.

    Numbers are compared by value (1 is 1.0, as JSON has one kind of number), but true is not 1.
    """
    expected = loads(text)
    # Equality alone is quick, and nearly always all there is to ask.
    return document == expected and (_plain(document, expected) or alike(document, expected))


def _plain(left: Any, right: Any) -> bool:
    return isinstance(left, dict) and LOOSE.isdisjoint(map(type, (*left.values(), *right.values())))
