"""Rules for mappings: that of `search_index` takes its columns, that of a projection is as declared."""

from collections.abc import Iterator
from typing import Any

from outboxctl.domain.printable import brief
from outboxctl.operations.doctor.index_rules import INDEX, ExaminedIndex
from outboxctl.operations.doctor.model import ERROR, WARNING, Case
from outboxctl.operations.doctor.remedies import apply, request
from outboxctl.operations.projection import mapping
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import MAPPING

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
VALUES = {"keyword": "text", "long": "integer up to 2^63-1", "double": "number"}
# A mapping that `rebuild --mapping` was given stays.
REMAP = "outboxctl rebuild --mapping default --yes  # a field never changes its type"

__all__ = ["INDEX"]


@INDEX.rule("mapping-refuses", ERROR)
def refuses(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """Each document with such a value is refused, and its event fails (mapping)."""
    index = None if each.projection.name else each.writes_to
    for field, there in index.mapping.get("properties", {}).items() if index else ():
        column = MAPPING["properties"].get(field, {}).get("type")
        if index and column and (kind := _kind(there)) not in TAKES[column]:
            value = VALUES.get(column, column)
            yield f"{index.name} maps {field} as {kind}; the document holds a {value}.", REMAP


@INDEX.rule("mapping-strict", ERROR)
def strict(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """A strict mapping refuses every document with a field that it does not name."""
    index = None if each.projection.name else each.writes_to
    if index and str(index.mapping.get("dynamic")) == "strict":
        fields = index.mapping.get("properties", {})
        if lacking := {name: kind for name, kind in MAPPING["properties"].items() if name not in fields}:
            what = f"{index.name} has a strict mapping that lacks {', '.join(lacking)}."
            yield what, request("PUT", f"{index.name}/_mapping", {"properties": lacking})


@INDEX.rule("mapping-differs", WARNING)
def differs(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """Searches of these fields find nothing, or not what was declared."""
    if (index := each.writes_to) is None or not each.columns:
        return
    projection = each.projection
    compared = mapping.compare(
        mapping.in_force(each.columns, projection, each.vectors)["mappings"], index.mapping
    )
    if compared.lacking:
        names = brief(", ".join(compared.lacking), 300)
        yield f"The index {index.name} of {projection.name} lacks the fields {names}.", apply(projection)
    if compared.rebuild:
        yield f"The mapping of {index.name} differs: {brief('; '.join(compared.rebuild), 300)}.", each.rebuild


@INDEX.rule("source-disabled", WARNING)
def no_source(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """`failed show`, `verify` and reindexing have nothing to read."""
    if (index := each.writes_to) and index.mapping.get("_source", {}).get("enabled") is False:
        what = f"{index.name} does not keep documents (_source is disabled)."
        yield what, each.rebuild if each.projection.name else REMAP


def _kind(field: dict[str, Any]) -> str:
    """The type, with what would make it refuse our dates; one with fields of its own is an object."""
    kind, form = str(field.get("type", "object")), str(field.get("format", ISO))
    return kind if ISO in form else f"{kind} of format {form}"
