"""A part of a key in the one form that triggers write of each type: a document is found by that text alone.

Made without a cast of PostgreSQL, which would leave the transaction of an application aborted.
"""

import re
from collections.abc import Callable, Collection
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from uuid import UUID

INTEGERS = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
INTEGER = re.compile(r"\s*[+-]?[0-9]{1,30}\s*")
NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,5})?\s*")
NOT_NUMBERS = {"nan": "NaN", "infinity": "Infinity", "-infinity": "-Infinity"}
# Years that Python does not have, and the ends of time.
FAR = re.compile(r"[0-9]{4,7}-[0-9]{2}-[0-9]{2} BC|[0-9]{5,7}-[0-9]{2}-[0-9]{2}|-?infinity")


def form(text: str, type_: str, labels: Collection[str]) -> str | None:
    """The text of a value of this type, of an enum with these labels; None where it is none."""
    if type_ in FORMS:
        return FORMS[type_](text)
    return text if text in labels else None


def number(value: Decimal) -> str:
    """A number as PostgreSQL writes it, without zeros at the end of its fraction."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _integer(text: str, limit: int) -> str | None:
    value = int(text) if INTEGER.fullmatch(text) else limit
    return str(value) if -limit <= value < limit else None


def _number(text: str) -> str | None:
    if not NUMBER.fullmatch(text):
        return NOT_NUMBERS.get(text.strip().lower())
    try:
        return number(Decimal(text.strip()))
    except InvalidOperation:
        return None


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text.strip()))
    except ValueError:
        return None


def _date(text: str) -> str | None:
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        return text if FAR.fullmatch(text) else None


FORMS: dict[str, Callable[[str], str | None]] = {
    "pg_catalog.text": str,
    "pg_catalog.varchar": str,
    "pg_catalog.bpchar": lambda text: text.rstrip(" "),
    "pg_catalog.uuid": _uuid,
    "pg_catalog.numeric": _number,
    "pg_catalog.date": _date,
    **{f"pg_catalog.{name}": partial(_integer, limit=limit) for name, limit in INTEGERS.items()},
}
