"""Whether a document in the index is the document of its row; pure."""

from json import loads
from typing import Any


def same(document: Any, text: str) -> bool:
    """Whether a parsed document has the content of a JSON text: the order of keys is no content.

    Numbers are compared by value (1 is 1.0, as JSON has one kind of number), but true is not 1.
    """
    expected = loads(text)
    # Nearly always the very text that was sent: its representation tells types and order, and is quick.
    return repr(document) == repr(expected) or _alike(document, expected)


def _alike(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_alike(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_alike, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
