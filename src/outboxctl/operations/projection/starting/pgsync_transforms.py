"""What pgsync's transforms make of a node: `replace`, then `rename`, then `concat`.

A node's rules are its own, or those that the node above has under its label. pgsync 7.3 drops the rules of
columns beneath a scalar together with the values: such a value is kept here, and a comment says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from outboxctl.core.projections.tree import NestedRows, Value
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting.pgsync_file import Json, Problems, an_object

Part = Value | NestedRows | str
NO_TEXTS = ("int2", "int4", "int8", "numeric", "float4", "float8", "bool")
BY_HAND = "leave it out in a copy of the file, and write it into the query by hand"
AS_TEXT = "name it by `->>`, which is a text, or leave it out in a copy of the file"


@dataclass
class Transforms:
    """The transforms of one node. `above` are rules of the node above for it, by their kind."""

    place: Place
    given: Json
    above: Mapping[str, Any]
    problems: Problems
    notes: list[str]

    def beneath(self, label: str) -> Json:
        """The rules for a child."""
        rules = {kind: self.given.get(kind) for kind in ("replace", "rename", "concat")}
        return {
            kind: each[label]
            for kind, each in rules.items()
            if isinstance(each, dict) and isinstance(each.get(label), dict)
        }

    def apply(self, node: NestedRows, *, renaming: tuple[str, ...] = ()) -> None:
        """Change a node that has its children; those with the labels `renaming` rename something, too."""
        for name, rule in self._rules("replace").items():
            with self.problems.noted():
                self._replace(self.place.at("replace").at(name), node, name, rule)
        with self.problems.noted():
            self._rename(self.place.at("rename"), node, renaming)
        given: Any = self.given.get("concat") or self.above.get("concat") or []
        for each in [given] if isinstance(given, dict) else given:
            with self.problems.noted():
                self._concat(self.place.at("concat"), node, each)

    def _rules(self, kind: str) -> Json:
        with self.problems.noted():
            return an_object(self.place, self.given, kind) or self.above.get(kind) or {}
        return {}

    def _replace(self, place: Place, node: NestedRows, name: str, rule: Any) -> None:
        child = next((each for each in node.children if each.label == name), None)
        if child and not (child.scalar and _of_texts(rule)):
            return  # the child has these rules
        held, name = (child, next(iter(child.values))) if child else (node, name)
        if name not in held.values:
            self.notes.append(f"Not taken over: {place.key}: there is no such field")
            return
        if not _of_texts(rule) or "" in rule:
            place.fail(f"it must be an object of texts, each to be replaced by another, not {shown(rule)}")
        value = held.values[name]
        if value.listed or value.kind == "json":
            place.fail("the field holds lists or objects", AS_TEXT if value.path else BY_HAND)
        if held.scalar and held is node and not node.many:
            self.notes.append(f"Not taken over: {place.key}: pgsync 7.3 leaves a scalar as it is")
            return
        if value.kind in NO_TEXTS:
            self.notes.append(f"Not taken over: {place.key}: it is no text, and pgsync leaves it as it is")
            return
        held.values[name] = replace(value, replace=tuple(rule.items()))

    def _rename(self, place: Place, node: NestedRows, renaming: tuple[str, ...]) -> None:
        rules = self._rules("rename")
        if node.scalar and rules:
            self.notes.append(
                f"Not taken over: {place.key}: a scalar has no field to rename; pgsync 7.3 sends {{}}"
            )
            return
        new = {}
        for name, value in _fields(node).items():
            rule = rules.get(name, name)
            if isinstance(rule, dict) and isinstance(value, NestedRows):
                rule = name  # the child has these rules
            if not isinstance(rule, str):
                place.at(name).fail(f"it must be a text, not {shown(rule)}")
            rule = place.at(name).one_line(rule)
            if rule != name and name in renaming:
                self.notes.append(
                    f"Not taken over: {place.at(name).key}: pgsync drops it beside the child's own"
                )
                rule = name
            new[name] = rule
        # Of two with one new name the last in the order of jsonb stays, as in pgsync.
        by_length = sorted(new, key=lambda name: (len(name.encode()), name.encode()))
        stays = {*{new[name]: name for name in by_length}.values()}
        node.values = {new[name]: value for name, value in node.values.items() if name in stays}
        node.children = [each for each in node.children if each.label in stays]
        for child in node.children:
            child.label = new[child.label]

    def _concat(self, place: Place, node: NestedRows, rule: Any) -> None:
        if not isinstance(rule, dict):
            place.fail(f"it must be an object, or a list of them, not {shown(rule)}")
        if "columns" not in rule:
            return  # rules of children alone
        if node.scalar:
            place.fail("a scalar has no fields", BY_HAND)
        names = rule["columns"]
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            place.at("columns").fail(f"it must be a list of texts, not {shown(names)}")
        into, here = place.text(rule, "destination", needed=True), place.at("columns")
        fields: Mapping[str, Part] = _fields(node)
        parts = [fields.get(name, name) for name in names if name]
        for name, part in zip(filter(None, names), parts, strict=True):
            value = part
            if isinstance(part, NestedRows):
                alone = part.scalar and not part.many
                value = next(iter(part.values.values())) if alone else Value(listed=True)
            if isinstance(value, Value) and (value.listed or value.kind == "json"):
                # pgsync prints it as Python does.
                here.fail(f"{shown(name)} is a list or an object", AS_TEXT if value.path else BY_HAND)
        delimiter = str(rule.get("delimiter", ""))
        node.children = [each for each in node.children if each.label != into]
        node.values[into] = Value(kind="text", joined=tuple(parts) or ("",), delimiter=delimiter)


def renames(given: Any) -> bool:
    """Whether a node, or one beneath it, renames a field."""
    if not isinstance(given, dict):
        return False
    transform, beneath = given.get("transform"), given.get("children")
    own = isinstance(transform, dict) and bool(transform.get("rename"))
    return own or (isinstance(beneath, list) and any(map(renames, beneath)))


def _fields(node: NestedRows) -> dict[str, Value | NestedRows]:
    return {**node.values, **{each.label: each for each in node.children}}


def _of_texts(rule: Any) -> bool:
    return isinstance(rule, dict) and all(isinstance(each, str) for each in rule.values())
