"""The index's body from pgsync's schema file: `setting`, `mapping`, `mappings`, and those of the nodes."""

from collections.abc import Mapping
from typing import Any

from outboxctl.core.projections.tree import NestedRows
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting.pgsync_file import Json, an_object
from outboxctl.operations.projection.starting.text import properties

OBJECTS = ("object", "nested")  # of an index
WORDS = ("dynamic", "dynamic_templates", "date_detection", "numeric_detection")  # of a whole mapping


def body(place: Place, document: Json, root: NestedRows) -> Json:
    """The body of the index: of one field `mapping` counts before `mappings`, and both before the nodes.

    Raises UsageError with the place of what is no mapping.
    """
    whole: Json = {"properties": properties(root)}
    for name in ("mappings", "mapping"):
        given = _complete(of_fields(place, document, name))
        fields = merged(whole["properties"], an_object(place.at(name), given, "properties"))
        whole = whole | given | {"properties": fields}
    if "dynamic_templates" in whole:  # they are for fields that no mapping names
        whole = {"dynamic": True} | whole
    settings = an_object(place, document, "setting")
    return {**({"settings": settings} if settings else {}), "mappings": whole}


def of_fields(place: Place, table: Json, name: str) -> Json:
    """Fields of an index by their names, or what such an object is in."""
    given = an_object(place, table, name)
    for key, value in given.items():
        if not isinstance(value, dict) and key not in WORDS:
            place.at(name).at(str(key)).fail(f"it must be an object, not {shown(value)}")
    return given


def of_node(place: Place, transform: Json) -> Json:
    """The fields of the index that a node declares, by their names in the document."""
    rename = transform.get("rename")
    new = rename if isinstance(rename, dict) else {}
    fields = of_fields(place, transform, "mapping").items()
    return {new[name] if isinstance(new.get(name), str) else name: each for name, each in fields}


def _complete(given: Json) -> Json:
    """A mapping with `properties`; pgsync also takes the fields alone."""
    inner = given.get("properties")
    whole = (isinstance(inner, dict) and "type" not in inner) or "dynamic_templates" in given
    return given if whole else {"properties": given} if given else {}


def merged(derived: Mapping[str, Any], given: Mapping[str, Any]) -> Json:
    """Fields of an index, changed and extended by what is given: an object keeps the fields beneath it."""
    return {**derived, **{name: _merged(derived.get(name, {}), each) for name, each in given.items()}}


def _merged(derived: Mapping[str, Any], given: Any) -> Any:
    inner = derived.get("properties")
    if inner is None or not isinstance(given, dict) or given.get("type", "object") not in OBJECTS:
        return given
    return given | {"properties": merged(inner, given.get("properties", {}))}
