"""Which names a JSON document holds, and of which types: from a schema, or from a document.

A shape is `{"workers[].host": "null|string", "status.*": "integer"}`: each value's place and its types. `[]`
are the items of a list, `.*` the values of an object whose names vary. `any`: of any type, and what is in it
is not said. `absent`: the name may be left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Shape = dict[str, str]
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def of_schema(schema: Mapping[str, Any]) -> Shape:
    """The shape that a JSON schema describes. Definitions that contain themselves are not supported."""
    return dict(_of_part(schema, schema, ""))


def _of_part(schema: Mapping[str, Any], part: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    options = [_resolved(schema, option) for option in _resolved(schema, part).get("anyOf", [part])]
    if path:
        yield path, "|".join(sorted(option.get("type", "any") for option in options))
    for option in options:
        for name, child in option.get("properties", {}).items():
            yield from _of_part(schema, child, f"{path}.{name}".lstrip("."))
        if isinstance(option.get("additionalProperties"), dict):
            yield from _of_part(schema, option["additionalProperties"], f"{path}.*".lstrip("."))
        if "items" in option:
            yield from _of_part(schema, option["items"], f"{path}[]")


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    named: Mapping[str, Any] = schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
    return named


def of_document(value: Any, known: Shape) -> Shape:
    """The shape of one document; `known` says of which objects the names vary."""
    shape: dict[str, set[str]] = {}
    for path, kind in _of_value(value, "", known):
        shape.setdefault(path, set()).add(kind)
    return {path: "|".join(sorted(kinds)) for path, kinds in shape.items()}


def _of_value(value: Any, path: str, known: Shape) -> Iterator[tuple[str, str]]:
    if path:
        yield path, TYPES.get(type(value), "null")
    if known.get(path) == "any":
        return
    if isinstance(value, dict):
        vary = f"{path}.*".lstrip(".") in known
        for name, child in value.items():
            yield from _of_value(child, f"{path}.{'*' if vary else name}".lstrip("."), known)
    if isinstance(value, list):
        for child in value:
            yield from _of_value(child, f"{path}[]", known)


def lacking(value: Any, promised: Shape) -> set[str]:
    """Names that were promised and that an object of the document lacks; `*` and empty lists lack nothing."""
    return set(_lacking(value, "", promised))


def _lacking(value: Any, path: str, promised: Shape) -> Iterator[str]:
    if isinstance(value, dict):
        inside = f"{path}." if path else ""
        names = {
            name.removeprefix(inside)
            for name, kind in promised.items()
            if name.startswith(inside) and "absent" not in kind.split("|")
        }
        own = {name for name in names if not set(name) & set(".[*")}
        yield from (f"{path}.{name}".lstrip(".") for name in own - value.keys())
        vary = f"{path}.*".lstrip(".") in promised
        for name, child in value.items():
            yield from _lacking(child, f"{path}.{'*' if vary else name}".lstrip("."), promised)
    if isinstance(value, list):
        for child in value:
            yield from _lacking(child, f"{path}[]", promised)
