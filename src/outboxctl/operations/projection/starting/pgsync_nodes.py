"""The nodes of a document of pgsync's schema file, as a tree of tables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from outboxctl.core.projections.fields import Field, fields
from outboxctl.core.projections.tree import NestedRows, Value
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting.pgsync_file import (
    Json,
    Problems,
    an_object,
    children,
    left_over,
    of_node,
)
from outboxctl.operations.projection.starting.pgsync_tables import PgsyncTables
from outboxctl.operations.projection.starting.pgsync_transforms import Transforms, renames

NODE = (
    *("table", "schema", "columns", "label", "primary_key", "base_tables"),
    *("relationship", "children", "transform"),
)
OPERATOR = re.compile(r"(->>|->|#>>|#>)")
AS_TEXT = ("->>", "#>>")
TRANSFORMS = ("rename", "replace", "concat", "mapping")


@dataclass
class NodeReading:
    """Reads the nodes of one document; `problems` are all errors, `notes` what is not as in pgsync."""

    connection: Connection
    problems: Problems
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tables = PgsyncTables(self.connection, self.problems, self.notes)

    def node(self, place: Place, given: Json, above: Json | None = None) -> NestedRows | None:
        """A node with its children, transformed; None where its table is not there. Errors are noted.

        `above` are transforms that the node above has for this one.
        """
        self.notes += left_over(place, given, NODE)
        table = None
        with self.problems.noted():
            name = place.text(given, "table", needed=True)
            table = self.tables.table(place.at("table"), given, name)
        node = self._own(place, given, table) if table else None
        at, own = place.at("transform"), Json()
        with self.problems.noted():
            own = an_object(place, given, "transform")
        self.notes += left_over(at, own, TRANSFORMS)
        transforms = Transforms(at, own, above or {}, self.problems, self.notes)
        renaming = self._children(place, given, node, transforms)
        if node:
            transforms.apply(node, renaming=renaming)
            with self.problems.noted():
                node.mapping = of_node(place.at("transform"), transforms.given)
        return node

    def _children(
        self, place: Place, given: Json, node: NestedRows | None, transforms: Transforms
    ) -> tuple[str, ...]:
        """Read the children into the node; returns the labels of those that rename something themselves."""
        listed, renaming = list[tuple[Place, Json]](), list[str]()
        with self.problems.noted():
            listed = children(place, given)
        for at, child in listed:
            made = self._child(at, child, node, transforms.beneath(_label(child)))
            if made and node:
                with self.problems.noted():
                    if any(each.label == made.label for each in node.children):
                        what = f"another child has the label {shown(made.label)}"
                        at.fail(what, "give one a `label` of its own")
                    node.values.pop(made.label, None)  # a column of its name gives way, as in pgsync
                    node.children.append(made)
                    renaming += [made.label] if renames(child) else []
        return tuple(renaming)

    def _own(self, place: Place, given: Json, table: Relation) -> NestedRows:
        """The node of a table without children, and before its transforms."""
        columns = {each.name: each for each in fields(self.connection, table)}
        node = NestedRows(table, _label(given))
        names: tuple[str, ...] = ()
        with self.problems.noted():
            place.text(given, "label")
            names = place.texts(given, "columns") if given.get("columns") else ()
        for name in names or columns:
            with self.problems.noted():
                label, value = _value(place.at("columns"), table, columns, name)
                node.values[label] = value
        with self.problems.noted():
            key = self.tables.key(place, given, table)
            node.order = tuple(name for name in key if name in columns)
        node.order = node.order or tuple(columns)[:1]
        relationship = given.get("relationship")
        if isinstance(relationship, dict):
            node.scalar = relationship.get("variant") == "scalar"
            # Through a table pgsync sends a list of either type.
            node.many = bool(relationship.get("through_tables")) or relationship.get("type") == "one_to_many"
        return node

    def _child(self, place: Place, given: Json, above: NestedRows | None, rules: Json) -> NestedRows | None:
        node = self.node(place, given, rules)
        relationship = self.tables.relationship(place, given)
        if node is None or above is None or not relationship:
            return node
        self.tables.relate(place.at("relationship"), relationship, node, above.table)
        if node.scalar and node.children:
            self.notes.append(f"Not taken over: {place.key}.children, beneath a scalar")
            node.children = []
        return node


def _label(given: Json) -> str:
    return str(given.get("label") or given.get("table") or "")


def _value(place: Place, table: Relation, columns: Mapping[str, Field], name: str) -> tuple[str, Value]:
    if name in columns:
        return name, plain(columns[name])
    column, *path = (part.strip() for part in OPERATOR.split(name))
    followed.check_column(place, column, table, list(columns))
    operators, steps = path[::2], path[1::2]
    if len(operators) != len(steps) or not all((column, *steps)):
        place.fail(f"{shown(name)} is no column with JSON operators")
    kind = "text" if operators[-1] in AS_TEXT else "json"
    pairs = zip(operators, (int(step) if step.isdecimal() else step for step in steps), strict=True)
    label = "_".join((column, *steps)).replace("{", "").replace("}", "")
    return label, Value(column, kind, path=tuple(pairs))


def plain(column: Field) -> Value:
    """A column as it is."""
    return Value(column.name, column.kind, column.listed)
