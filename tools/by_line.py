"""JSON for machines with one item a line, so that a changed figure, panel or answer is one line of a diff."""

from json import dumps
from typing import Any

WIDTH = 2_000  # characters: what is longer is written part by part


def by_line(value: Any) -> str:
    """JSON of a list or a dict, a line at least for each of its items, with a line end."""
    return _parts(value, 0) + "\n"


def _parts(value: list[Any] | dict[str, Any], depth: int) -> str:
    if isinstance(value, dict):
        first, last = "{", "}"
        parts = [f"{_line(name)}: {_item(part, depth + 1)}" for name, part in value.items()]
    else:
        first, last = "[", "]"
        parts = [_item(part, depth + 1) for part in value]
    inner = ",\n".join(" " * (depth + 1) + part for part in parts)
    return f"{first}\n{inner}\n{' ' * depth}{last}"


def _item(value: Any, depth: int) -> str:
    line = _line(value)
    divisible = isinstance(value, list | dict) and len(line) > WIDTH
    return _parts(value, depth) if divisible else line


def _line(value: Any) -> str:
    return dumps(value, ensure_ascii=False)
