"""Whether equal values say the same in JSON; pure."""

from typing import Any


def alike(left: Any, right: Any) -> bool:
    """Of two equal values: whether true stands for true everywhere, and never for 1."""
    if isinstance(left, dict):
        return all(alike(value, right[key]) for key, value in left.items())
    if isinstance(left, list):
        return all(map(alike, left, right))
    return isinstance(left, bool) == isinstance(right, bool)
