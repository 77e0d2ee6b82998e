"""The values of a node of pgsync's schema file: its columns, and the transforms that SQL can express."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from outboxctl.core.projections.fields import Field
from outboxctl.core.projections.tree import Value
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown

OPERATOR = re.compile(r"(->>|->|#>>|#>)")
AS_TEXT = ("->>", "#>>")
OBJECTS = ("object", "nested")  # of an index
NO_TEXTS = ("int2", "int4", "int8", "numeric", "float4", "float8", "bool", "json")


@dataclass
class Values:
    """Makes the values of one node; `notes` are what was not taken over."""

    place: Place
    table: Relation
    columns: Mapping[str, Field]
    transform: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)

    def of(self, names: Sequence[str]) -> dict[str, Value]:
        """The fields by their names in the document: of these columns, of all if there is none."""
        values = dict(self._value(name) for name in names or self.columns)
        return self._joined(self._renamed(self._replaced(values)))

    def _value(self, name: str) -> tuple[str, Value]:
        column, *path = (part.strip() for part in OPERATOR.split(name))
        followed.check_column(self.place.at("columns"), column, self.table, list(self.columns))
        known = self.columns[column]
        if not path:
            return column, Value(column, known.kind, known.listed)
        operators, steps = path[::2], path[1::2]
        if len(operators) != len(steps) or not all(steps):
            self.place.at("columns").fail(f"{shown(name)} ends in an operator")
        kind = "text" if operators[-1] in AS_TEXT else "json"
        pairs = zip(operators, (int(step) if step.isdecimal() else step for step in steps), strict=True)
        label = "_".join((column, *steps)).replace("{", "").replace("}", "")
        return label, Value(column, kind, path=tuple(pairs))

    def _replaced(self, values: dict[str, Value]) -> dict[str, Value]:
        for name, pairs in self._objects("replace").items():
            value = values.get(name)
            texts = isinstance(pairs, dict) and all(isinstance(each, str) for each in pairs.values())
            if value is None or value.listed or value.kind in NO_TEXTS or not texts or "" in pairs:
                self.notes.append(
                    f"Not taken over: {self.place.key}.transform.replace.{name}, which is no text"
                )
            else:
                values[name] = replace(value, replace=tuple(pairs.items()))
        return values

    def _renamed(self, values: dict[str, Value]) -> dict[str, Value]:
        new = {name: label for name, label in self._objects("rename").items() if isinstance(label, str)}
        return {new.get(name, name): value for name, value in values.items()}

    def _joined(self, values: dict[str, Value]) -> dict[str, Value]:
        given, place = self.transform.get("concat") or [], self.place.at("transform").at("concat")
        for each in [given] if isinstance(given, dict) else given:
            if not isinstance(each, dict):
                place.fail(f"it must be an object, or a list of them, not {shown(given)}")
            names, into = place.texts(each, "columns"), place.text(each, "destination", needed=True)
            parts = tuple(values.get(name, name) for name in names)
            if any(isinstance(part, Value) and (part.listed or part.kind == "json") for part in parts):
                self.notes.append(f"Not taken over: {place.key} into {into}, of a list or an object")
            elif parts:
                delimiter = str(each.get("delimiter", ""))
                values[into] = Value(kind="text", joined=parts, delimiter=delimiter)
        return values

    def _objects(self, name: str) -> dict[str, Any]:
        given = self.transform.get(name) or {}
        if not isinstance(given, dict):
            self.place.at("transform").at(name).fail(f"it must be an object, not {shown(given)}")
        return given


def merged(derived: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of an index, changed and extended by what is given: an object keeps the fields beneath it."""
    return {**derived, **{name: _merged(derived.get(name, {}), each) for name, each in given.items()}}


def _merged(derived: Mapping[str, Any], given: Any) -> Any:
    inner = derived.get("properties")
    if inner is None or not isinstance(given, dict) or given.get("type", "object") not in OBJECTS:
        return given
    return given | {"properties": merged(inner, given.get("properties", {}))}
