"""The body of a projection's index: derived from the document's columns, changed by the file, compared.

What is in a column of json is derived where the view makes it (`contents`). Of a column that a table has it
is not known: an object, a list of objects, of texts or of numbers, different in each row. A guess that does
not fit refuses documents, and cannot be corrected without a rebuild. `dynamic: false` keeps such fields in
the document all the same; what shall be searched the file declares.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from outboxctl.core.projections.fields import Field
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import OWNER, Projection
from outboxctl.sink.engines import DENSE, Vectors
from outboxctl.sink.index.index_setup import SETTINGS
from outboxctl.sink.index.lifecycle import flat

Json = dict[str, Any]
KEYWORD: Json = {"type": "keyword"}
TEXT: Json = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
# A keyword has at most 32,766 bytes, and a character at most four: a longer value would refuse its document.
OTHER: Json = {"type": "keyword", "ignore_above": 8191}
DATE: Json = {"type": "date"}
JSON = ("json", "jsonb")
VECTORS = ("vector", "halfvec")  # of pgvector
KINDS: dict[str, Json] = {
    "uuid": KEYWORD,
    "enum": KEYWORD,
    "text": TEXT,
    "varchar": TEXT,
    "bpchar": TEXT,
    "citext": TEXT,
    "int2": {"type": "integer"},
    "int4": {"type": "integer"},
    "int8": {"type": "long"},
    "float4": {"type": "double"},
    "float8": {"type": "double"},
    "numeric": {"type": "double"},
    "bool": {"type": "boolean"},
    "date": DATE,
    "timestamp": DATE,
    "timestamptz": DATE,
}
# What an engine leaves out of the mapping that it shows, and what it changes without a new index.
DEFAULTS: Json = {
    "index": True,
    "doc_values": True,
    "norms": True,
    "store": False,
    "coerce": True,
    "enabled": True,
    "ignore_malformed": False,
    "analyzer": "standard",
    "format": "strict_date_optional_time||epoch_millis",
}
OPEN = {"dynamic": False}  # where no file says otherwise
MOST_FIELDS = "index.mapping.total_fields.limit"
IN_PLACE = ("ignore_above", "ignore_malformed", "search_analyzer", "dynamic")


@dataclass(frozen=True)
class MappingComparison:
    """How an index's mapping differs: fields that can be added in place, and why a rebuild is needed."""

    lacking: Json = field(default_factory=dict)
    rebuild: tuple[str, ...] = ()


def body(
    columns: Sequence[Field],
    given: Json,
    objects: Json | None = None,
    vectors: Vectors = DENSE,
    owner: str = "",
) -> Json:
    """The whole body of the index: what the columns need, changed and extended by what the file gives.

    `objects` are fields in columns of json, in `properties` of these. `owner` is the projection whose index
    it says that it is, one of several.
    """
    mappings = given.get("mappings", {})
    if owner:
        mappings = mappings | {"_meta": mappings.get("_meta", {}) | {OWNER: owner}}
    inner = {} if _dynamic(mappings) else objects or {}
    derived = {each.name: found for each in columns if (found := _of_column(each, inner, vectors))}
    properties = merged(derived, mappings.get("properties", {}))
    settings = SETTINGS | vector_settings(properties, vectors) | flat(given.get("settings", {}))
    return {"settings": settings, "mappings": OPEN | mappings | {"properties": properties}}


def in_force(columns: Sequence[Field], projection: Projection, vectors: Vectors) -> Json:
    """The body that the index of a projection in force needs, whose view has these columns."""
    given, objects = (json.loads(each or "{}") for each in (projection.mapping, projection.objects))
    return body(columns, given, objects, vectors, projection.name if projection.column else "")


def together(*bodies: Json) -> Json:
    """The body of an index that these projections have; a default gives way. Raises as `joined`."""
    own = [
        {
            "settings": {
                name: value for name, value in each["settings"].items() if SETTINGS.get(name) != value
            },
            "mappings": {name: value for name, value in each["mappings"].items() if OPEN.get(name) != value},
        }
        for each in bodies
    ]
    whole = reduce(joined, own)
    return {"settings": SETTINGS | whole["settings"], "mappings": OPEN | whole["mappings"]}


def joined(one: Json, other: Json, path: str = "", *, of_fields: bool = False) -> Json:
    """What both say; `of_fields`: these are fields by name. UsageError, with both, where they differ."""
    both = {}
    for name in one.keys() & other.keys():
        pair, here = (one[name], other[name]), f"{path}.{name}".removeprefix(".")
        objects = isinstance(pair[0], dict) and isinstance(pair[1], dict)
        kinds = [_text(each.get("type", "object") if objects and of_fields else each) for each in pair]
        if kinds[0] != kinds[1] and (of_fields or not objects):
            shown = brief(here.removeprefix("mappings.properties."), 200)
            raise UsageError(f"{shown} is {brief(kinds[0], 100)}, and {brief(kinds[1], 100)}")
        deeper = not of_fields and name in ("properties", "fields")
        both[name] = joined(*pair, here, of_fields=deeper) if objects else pair[0]
    return one | other | both


def vector_settings(properties: Json, vectors: Vectors) -> Json:
    """The settings that an index with these fields is made with, where some are vectors."""
    return dict(vectors.settings) if _has(properties, vectors.type) else {}


def _has(properties: Json, kind: str) -> bool:
    return any(
        each.get("type") == kind or _has(each.get("properties", {}), kind) for each in properties.values()
    )


def is_vector(column: Field) -> bool:
    """Whether its values become arrays of numbers."""
    return column.kind in VECTORS and not column.listed


def _of_column(column: Field, objects: Json, vectors: Vectors) -> Json:
    if is_vector(column):
        return vectors.field(column.modifier) if column.modifier > 0 else {}
    found: Json = objects.get(column.name, {}) if column.kind in JSON else field_of(column.kind)
    return found


def field_of(kind: str) -> Json:
    """The field of a kind of column; empty for json."""
    return {} if kind in JSON else KINDS.get(kind, OTHER)


def in_object(kind: str) -> Json:
    """The same of a field in a column of JSON: a value that the type does not take is left unsearched.

    Infinity, NaN and years before Christ were delivered before such fields were derived.
    """
    found = field_of(kind)
    return {**found, "ignore_malformed": True} if found.get("type") in ("date", "double") else found


def merged(derived: Json, given: Json) -> Json:
    """Fields as they are given; beneath an object of these also those that it does not name."""
    found = derived | given
    for name, field_ in given.items():
        beneath = derived.get(name, {}).get("properties")
        if beneath and field_.get("type", "object") in ("object", "nested") and not _closed(field_):
            found[name] = field_ | {"properties": merged(beneath, field_.get("properties", {}))}
    return found


def _closed(given: Json) -> bool:
    return _dynamic(given) or _text(given.get("enabled", True)) == "false"


def _dynamic(given: Json) -> bool:
    """Whether the engine adds fields to this object, or refuses them."""
    return _text(given.get("dynamic", False)) != "false"


def declared(path: Sequence[str], given: Json) -> bool:
    """Whether the file says what becomes of a place in the documents that has no mapping by itself."""
    if not path or _closed(given):
        return True
    below = given.get("properties", {}).get(path[0])
    if below is None:
        return False
    return below.get("type", "object") not in ("object", "nested") or declared(path[1:], below)


def too_many(body: Json) -> int:
    """How many fields these are if the engine does not take so many, else 0."""
    size = _size(body["mappings"])
    most = str(body["settings"].get(MOST_FIELDS, 1_000))
    return size if most.isdecimal() and size > int(most) else 0


def _size(mappings: Json) -> int:
    beneath = mappings.get("properties", {}).values()
    return len(mappings.get("fields", {})) + sum(1 + _size(each) for each in beneath)


def misfits(columns: Sequence[Field], given: Json, vectors: Vectors) -> Iterator[tuple[str, str]]:
    """Columns that the file declares so that an engine would refuse each document: the names, and why."""
    declared = given.get("mappings", {}).get("properties", {})
    for each in (column for column in columns if column.name in declared):
        field_ = declared[each.name]
        kind, dims = field_.get("type"), field_.get(vectors.dims, each.modifier)
        if each.kind in KINDS and ("properties" in field_ or kind in ("object", "nested", "flattened")):
            yield each.name, f"it is an object, and {each.kind} in the document"
        if is_vector(each) and each.modifier > 0 and _text(dims) != _text(each.modifier):
            what = f"the column has {each.modifier} dimensions, the file says {dims}"
            yield f"{each.name}.{vectors.dims}", what


def compare(wanted: Json, there: Json, path: str = "") -> MappingComparison:
    """What an index (`mappings` of it) lacks of the wanted `properties`, and what it has otherwise."""
    lacking, rebuild = dict[str, Any](), list[str]()
    for name, field_ in wanted.get("properties", {}).items():
        present = there.get("properties", {}).get(name)
        if present is None:
            lacking[name] = field_
            continue
        inner = compare(field_, present, f"{path}{name}.")
        differing = _differing(f"{path}{name}", field_, present)
        rebuild += [*differing, *inner.rebuild]
        if not differing and (inner.lacking or _lacks_beside(field_, present)):
            beneath = {"properties": inner.lacking} if inner.lacking else {}
            lacking[name] = _completed(present, field_) | beneath
    return MappingComparison(lacking, tuple(rebuild))


def _differing(path: str, wanted: Json, there: Json) -> list[str]:
    kinds = tuple(str(each.get("type", "object")) for each in (wanted, there))
    if kinds[0] != kinds[1]:
        return [f"{path} is {kinds[1]} in the index, not {kinds[0]}"]
    found = []
    for name, value in wanted.items():
        if name in ("type", "properties", "fields", *IN_PLACE):
            continue
        present = there.get(name, DEFAULTS.get(name))
        if not _same(value, present):
            found.append(f"{name} of {path} is {present} in the index, not {value}")
    for name, sub in wanted.get("fields", {}).items():
        if name in there.get("fields", {}):
            found += _differing(f"{path}.{name}", sub, there["fields"][name])
    return found


def _same(wanted: Any, there: Any) -> bool:
    """Whether a parameter is as wanted; to an object (`index_options`) an engine adds its defaults."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        return all(_same(value, there.get(name)) for name, value in wanted.items())
    return _text(there) == _text(wanted)


def _lacks_beside(wanted: Json, there: Json) -> bool:
    """Whether a parameter that can be changed differs, or a field beneath it (`fields`) is missing."""
    subs, present = wanted.get("fields", {}), there.get("fields", {})
    changed = any(_text(wanted[name]) != _text(there.get(name)) for name in IN_PLACE if name in wanted)
    return changed or any(
        name not in present or _lacks_beside(sub, present[name]) for name, sub in subs.items()
    )


def _completed(there: Json, wanted: Json) -> Json:
    """A field that is there, whole: to an engine a parameter that is left out is a change to its default."""
    subs, present = wanted.get("fields", {}), there.get("fields", {})
    fields = {name: _completed(present.get(name, {}), sub) for name, sub in subs.items()}
    completed = {name: value for name, value in {**there, **wanted}.items() if name != "properties"}
    return completed | ({"fields": present | fields} if present or fields else {})


def _text(value: Any) -> str:
    return str(value).lower()
