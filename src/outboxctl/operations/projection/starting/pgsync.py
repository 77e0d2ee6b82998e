"""Starting declarations from pgsync's schema file: its tables, columns, relationships and their nesting.

Everything else in the file, such as transforms and plugins, becomes a comment where it belongs: in the SELECT
of its table, or above the declaration of its document.
"""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from outboxctl.core.projections import indexes
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.tree import NestedRows, Step, Writer, constraints
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, file_text, json_value, shown
from outboxctl.operations.projection.starting import init
from outboxctl.operations.projection.starting.init import HEAD, Start

Json = dict[str, Any]
JSON_OPERATOR = re.compile(r"->|#>")
DOCUMENT = ("nodes", "index")
NODE = ("table", "schema", "columns", "label", "primary_key", "children", "relationship")
RELATIONSHIP = ("type", "variant", "through_tables", "foreign_key")
FOREIGN_KEY = ("child", "parent")
RENAME = "give the child a `label` of its own in a copy of the file"
EXAMPLE = 'name the columns: "foreign_key": {"child": […], "parent": […]}'


def starts(connection: Connection, path: Path) -> list[Start]:
    """Return the start of each document of the file.

    Raises UsageError with the file, the place in it and what is wrong.
    """
    file = Place(str(path))
    content = json_value(file, "it", file_text(file, path))
    documents = content if isinstance(content, list) else [content]
    if not documents:
        file.fail("it holds no documents", "pgsync's schema file is a list of objects with `nodes`")
    several = len(documents) > 1
    made = [
        _start(connection, Place(str(path), f"document {number}" if several else ""), document)
        for number, document in enumerate(documents, 1)
    ]
    if len({each.name for each in made}) < len(made):
        file.fail("two documents have the same name", "convert each in a file of its own")
    return made


def _start(connection: Connection, place: Place, value: Any) -> Start:
    document = _object(place, value)
    nodes = place.at("nodes")
    given = _object(nodes, place.value(document, "nodes", dict, "an object"))
    reader, index = NodeReader(connection), place.text(document, "index")
    root = reader.node(nodes, given, key=True)
    notes = [HEAD, *_not_converted(place, document, DOCUMENT)]
    if "$" in index:  # pgsync puts a variable of its environment there
        notes += _not_converted(place, {"index": index}, ())
        index = ""
    name = init.valid_name(index or root.table.name)
    relation, query = reader.writer.relation(root.table), reader.writer.select(root)
    start = Start(name, relation, root.order, index or name.lstrip("_"), query, notes=notes)
    try:
        return init.checked(connection, start)
    except UsageError as error:
        error.args = (f"{place}: {error}",)
        raise


def _object(place: Place, value: Any) -> Json:
    """Return an object of the file without what is null or empty, which pgsync takes for left out."""
    if not isinstance(value, dict):
        place.fail(f"it must be an object, not {shown(value)}", "pgsync's schema file has objects here")
    return {name: each for name, each in value.items() if each not in (None, "", [], {})}


def _not_converted(place: Place, given: Json, converted: Sequence[str]) -> list[str]:
    """Return a comment for each value that has no counterpart in the declaration."""
    return [
        f"Not converted: {place.at(name).key} {json.dumps(value, ensure_ascii=False)}"
        for name, value in given.items()
        if name not in converted
    ]


class Tie(NamedTuple):
    """The relationship of a node to the one above; `child` and `parent` are its columns, if any."""

    place: Place
    through: str
    child: tuple[str, ...]
    parent: tuple[str, ...]


class NodeReader:
    """Reads nodes of the file as a tree of tables, which must exist."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._keys = connection, constraints(connection)
        self.writer = Writer(connection, empty=False)

    def node(self, place: Place, given: Json, *, key: bool = False) -> NestedRows:
        """Return a node with its children; with `key`, columns of the key are in it in any case."""
        schema = place.text(given, "schema") or "public"
        table = self._table(place.at("table"), schema, place.text(given, "table", needed=True))
        columns = [each.name for each in fields(self._connection, table)]
        # pgsync sorts the columns of a primary key, and ids keep that order.
        order = tuple(sorted(indexes.primary_key(self._connection, table)))
        order = order or place.texts(given, "primary_key", several=False)
        if key and not order:
            place.fail(f"{table} has no primary key", init.NO_KEY)
        node = NestedRows(table, place.text(given, "label") or table.name, order=order or tuple(columns[:1]))
        node.notes += _not_converted(place, given, NODE)
        named = place.texts(given, "columns") or tuple(columns)
        missing = [name for name in order if key and name not in named]
        node.columns += missing
        node.notes += [f"Added: {name}, a column of the key" for name in missing]
        for name in order:
            followed.check_column(place.at("primary_key"), name, table, columns)
        for name in named:
            if name not in columns and JSON_OPERATOR.search(name):
                node.notes.append(f"Not converted: {place.at('columns').key} {name}")
                continue
            followed.check_column(place.at("columns"), name, table, columns)
            node.columns.append(name)
        for number, child in enumerate(place.value({"children": []} | given, "children", list, "a list"), 1):
            at = place.at("children").item(number)
            self._add_child(at, _object(at, child), node)
        return node

    def _table(self, place: Place, schema: str, name: str) -> Relation:
        """Return a table. Raises UsageError if it does not exist or is a view."""
        return followed.relation(self._connection, place, self.writer.relation(Relation(schema, name)))

    def _add_child(self, place: Place, given: Json, above: NestedRows) -> None:
        """Put a child and what is beneath it into the node above."""
        at = place.at("relationship")
        tie = _object(at, place.value(given, "relationship", dict, "an object"))
        kind = _one_of(at, tie, "type", ("one_to_one", "one_to_many"))
        scalar = _one_of(at, tie, "variant", ("object", "scalar")) == "scalar"
        node = self.node(place, given)
        if node.label in {*above.columns, *(each.label for each in above.children)}:
            place.fail(f"the node above has another field {shown(node.label)}", RENAME)
        node.notes += _not_converted(at, tie, RELATIONSHIP)
        through = at.texts(tie, "through_tables")
        if len(through) > 1:
            at.at("through_tables").fail("pgsync takes one table here", "leave the others out")
        columns = _object(at.at("foreign_key"), tie.get("foreign_key", {}))
        node.notes += _not_converted(at.at("foreign_key"), columns, FOREIGN_KEY)
        child, parent = (at.at("foreign_key").texts(columns, name, several=False) for name in FOREIGN_KEY)
        if len(child) != len(parent):
            at.at("foreign_key").fail("`child` and `parent` must name as many columns each")
        node.steps = self._steps(Tie(at, "".join(through), child, parent), node.table, above.table)
        # Through a table pgsync sends a list whatever the type is.
        node.many = bool(through) or kind == "one_to_many"
        columns_below = node.steps[0].columns
        node.single = not through and indexes.is_unique(self._connection, node.table, columns_below)
        if scalar:
            _make_scalar(place, node)
        above.children.append(node)

    def _steps(self, tie: Tie, table: Relation, above: Relation) -> tuple[Step, ...]:
        """Return the steps to the table above, by the columns that the file names or by foreign keys."""
        if tie.child and not tie.through:
            for of, names in ((table, tie.child), (above, tie.parent)):
                known = [each.name for each in fields(self._connection, of)]
                for name in names:
                    followed.check_column(tie.place.at("foreign_key"), name, of, known)
            return (Step(table, tie.child, above, tie.parent),)
        tables = [table, above]
        if tie.through:
            schema, _, name = tie.through.rpartition(".")
            tables.insert(1, self._table(tie.place.at("through_tables"), schema or table.schema, name))
        steps = tuple(self._foreign_key(tie, here, there) for here, there in pairwise(tables))
        if tie.child and not any(_is_named(tie, step) for step in steps):
            tie.place.at("foreign_key").fail("there is no such foreign key", f"it names one of {tie.through}")
        return steps

    def _foreign_key(self, tie: Tie, here: Relation, there: Relation) -> Step:
        """Return the foreign key between two tables, in either direction; of several the named one."""
        found = [key for key in self._keys if (key.here, key.there) == (here, there)]
        if here != there:
            found += [key.back() for key in self._keys if (key.here, key.there) == (there, here)]
        if len(found) > 1:
            found = [step for step in found if _is_named(tie, step)] or found
        if len(found) != 1:
            listed = "; ".join(f"{each.here} ({', '.join(each.columns)})" for each in found)
            what = f"{len(found) or 'no'} foreign keys are between {here} and {there}"
            tie.place.fail(f"{what}{f': {listed}' if listed else ''}", EXAMPLE)
        return found[0]


def _one_of(place: Place, given: Json, name: str, known: Sequence[str]) -> str:
    value = place.text(given, name, needed=True)
    if value not in known:
        place.at(name).fail(f"{shown(value)} is unknown", f"it is {' or '.join(known)}")
    return value


def _is_named(tie: Tie, step: Step) -> bool:
    """Whether the file names this foreign key; it does not say which of both tables has it."""
    named = {*zip(tie.child, tie.parent, strict=True)}
    pairs = {*zip(step.columns, step.their_columns, strict=True)}
    return named in (pairs, {(there, here) for here, there in pairs})


def _make_scalar(place: Place, node: NestedRows) -> None:
    """Leave the first column, which pgsync sends instead of an object."""
    if not node.columns:
        place.at("columns").fail("a scalar needs a column of the table", "make the variant object")
    others = [*node.columns[1:], *(each.label for each in node.children)]
    node.notes += [f"Not converted: {place.key}, a scalar: {name}" for name in others]
    node.scalar, node.columns, node.children = True, node.columns[:1], []
