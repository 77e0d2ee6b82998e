"""Equality of values in JSON."""

from typing import Any


def same_json_types(left: Any, right: Any) -> bool:
    """Whether two values that are equal in Python are equal in JSON, where true is not 1."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict):  # what equals a string is one: most values are, and need no look
            pairs += [(value, other[key]) for key, value in one.items() if type(value) is not str]
        elif isinstance(one, list):
            pairs += zip(one, other, strict=True)
        elif isinstance(one, bool) != isinstance(other, bool):
            return False
    return True
