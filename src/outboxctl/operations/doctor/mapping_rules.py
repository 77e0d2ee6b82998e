"""Rules for the mapping, compared with the document that is sent: the columns of `search_index`."""

from collections.abc import Iterator
from shlex import quote
from typing import Any

from outboxctl.operations.doctor.copy_rules import INDEX
from outboxctl.operations.doctor.model import ERROR, WARNING, Case
from outboxctl.operations.doctor.remedies import request
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import MAPPING
from outboxctl.sink.inspect.indices import Named

ANY_TEXT = {"keyword", "text", "match_only_text", "wildcard", "search_as_you_type", "annotated_text"}
# What takes each kind of our values, whatever they are. A version is up to 2**63-1, a rank any double.
TAKES = {
    "keyword": ANY_TEXT,
    "text": ANY_TEXT | {"semantic_text"},
    "double": ANY_TEXT | {"double", "float", "half_float", "scaled_float", "long"},
    "long": ANY_TEXT | {"long", "unsigned_long", "double", "float"},
    "date": ANY_TEXT | {"date", "date_nanos"},
}
ISO = "date_optional_time"  # part of the default format, and of every one that takes our timestamps
JOINED = ("entity_type", "entity_id")

__all__ = ["INDEX"]


@INDEX.rule("mapping-refuses", ERROR)
def refuses(named: Named, _: Settings) -> Iterator[Case]:
    """Each document with such a value is refused, and its event fails (mapping)."""
    index = named.writes_to
    for field, kind in _kinds(index.mapping).items() if index else ():
        column = MAPPING["properties"].get(field, {}).get("type")
        if index and column and kind not in TAKES[column]:
            what = f"{index.name} maps {field} as {kind}; the document holds a {_value(column)}."
            yield what, _remap(index.name)


@INDEX.rule("mapping-strict", ERROR)
def strict(named: Named, _: Settings) -> Iterator[Case]:
    """A strict mapping refuses every document with a field that it does not name."""
    if (index := named.writes_to) and _is_strict(index.mapping):
        fields = index.mapping.get("properties", {})
        if lacking := {name: kind for name, kind in MAPPING["properties"].items() if name not in fields}:
            what = f"{index.name} has a strict mapping that lacks {', '.join(lacking)}."
            yield what, request("PUT", f"{index.name}/_mapping", {"properties": lacking})


@INDEX.rule("mapping-not-keyword", WARNING)
def not_keyword(named: Named, _: Settings) -> Iterator[Case]:
    """`verify` and `rebuild` find documents by them, word for word."""
    index = named.writes_to
    kinds = _kinds(index.mapping) if index else {}
    for field in JOINED if index and not _is_strict(index.mapping) else ():
        if index and kinds.get(field) != "keyword":
            added = {"properties": {field: MAPPING["properties"][field]}}
            what = f"{index.name} maps {field} as {kinds.get(field, 'nothing')}, not as keyword."
            put = request("PUT", f"{index.name}/_mapping", added)
            yield what, _remap(index.name) if field in kinds else put


@INDEX.rule("source-disabled", WARNING)
def no_source(named: Named, _: Settings) -> Iterator[Case]:
    """`failed show`, `verify` and reindexing have nothing to read."""
    if (index := named.writes_to) and index.mapping.get("_source", {}).get("enabled") is False:
        yield f"{index.name} does not keep documents (_source is disabled).", _remap(index.name)


def _kinds(mapping: dict[str, Any]) -> dict[str, str]:
    """Field to type; one with fields of its own and no type is an object."""
    return {name: _kind(field) for name, field in mapping.get("properties", {}).items()}


def _kind(field: dict[str, Any]) -> str:
    """The type, with what would make it refuse our dates."""
    kind, form = str(field.get("type", "object")), str(field.get("format", ISO))
    return kind if ISO in form else f"{kind} of format {form}"


def _is_strict(mapping: dict[str, Any]) -> bool:
    return str(mapping.get("dynamic")) == "strict"


def _value(kind: str) -> str:
    return {"keyword": "text", "long": "integer up to 2^63-1", "double": "number"}.get(kind, kind)


def _remap(index: str) -> str:
    return f"outboxctl rebuild --mapping default --yes  # {quote(index)}: a field never changes its type"
