"""Values of JSON: numbers are compared exactly and written as read, unlike Python's floats of 17 digits."""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import uuid4

MARK = uuid4().hex  # around a number in a text that is JSON but for its numbers; no document has it
LONGEST = 4_000  # digits: Python makes no integer of more than 4,300
NESTED_OR_BOOL = {bool, dict, list}  # types for which equality does not suffice: True == 1
MARKED = re.compile(f'"{MARK}([^"]+)"')


class Number(Decimal):
    """A number, and the text that it was read from."""

    written: str

    def __new__(cls, written: str) -> "Number":
        """Raises InvalidOperation for an exponent that no decimal has."""
        number = super().__new__(cls, written)
        number.written = written
        return number

    def __str__(self) -> str:
        """As it was read."""
        return self.written


def compared(text: str | bytes) -> Any:
    """JSON for a comparison: numbers are equal where their values are; raises as json.loads."""
    return _read(text, Decimal)


def loads(text: str | bytes) -> Any:
    """JSON whose numbers `dumps` writes as they are here; raises as json.loads."""
    return _read(text, Number, integer=_integer)


def dumps(value: Any, *, default: Callable[[Any], Any] | None = None, **options: Any) -> str:
    """As json.dumps, for what `loads` returned and what is made of it."""

    def marked(other: Any) -> Any:
        if isinstance(other, Number):
            return f"{MARK}{other.written}"
        if default is None:
            raise TypeError(f"not of JSON: {type(other).__name__}")
        return default(other)

    return MARKED.sub(r"\1", json.dumps(value, default=marked, **options))


def _integer(text: str) -> int | Number:
    """As an integer, which is printed alike, but where Python would refuse its length, or drop its sign."""
    return Number(text) if text == "-0" or len(text) > LONGEST else int(text)


def _read(
    text: str | bytes, number: Callable[[str], Any], *, integer: Callable[[str], Any] | None = None
) -> Any:
    try:
        return json.loads(text, parse_float=number, parse_int=integer or number)
    except InvalidOperation:  # an exponent of 18 digits and more: such a number equals its own text only
        return json.loads(text, parse_float=lambda each: (each,), parse_int=integer or number)


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The fields that two documents do not both have, or with other values; those of the first one first."""
    both = one.keys() & other.keys()
    return [name for name in {**one, **other} if name not in both or not same(one[name], other[name])]


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal in JSON. Equality alone is quick, and decides nearly all cases."""
    return bool(left == right) and (_plain(left, right) or _same_types(left, right))


def _plain(left: Any, right: Any) -> bool:
    return isinstance(left, dict) and NESTED_OR_BOOL.isdisjoint(map(type, (*left.values(), *right.values())))


def _same_types(left: Any, right: Any) -> bool:
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
