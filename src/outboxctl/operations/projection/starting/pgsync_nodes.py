"""The nodes of a document of pgsync's schema file, as a tree of tables."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from outboxctl.core.projections import catalog, indexes
from outboxctl.core.projections.catalog import table_hint
from outboxctl.core.projections.fields import Field, fields
from outboxctl.core.projections.tree import NestedRows, Step, Value, constraints
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import ManyError, NotPermittedError, UsageError
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting.pgsync_file import Child, ForeignKey, Node

OPERATOR = re.compile(r"(->>|->|#>>|#>)")
AS_TEXT = ("->>", "#>>")
EXAMPLE = '"foreign_key": {"child": […], "parent": […]}'


@dataclass
class Problems:
    """The errors that were found so far."""

    found: list[UsageError] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note a UsageError of the block, and go on behind it."""
        try:
            yield
        except NotPermittedError:
            raise
        except ManyError as errors:
            self.found += errors.parts
        except UsageError as error:
            self.found.append(error)

    def check(self) -> None:
        """Raise what was noted."""
        if self.found:
            raise ManyError(self.found)


@dataclass
class NodeReading:
    """Reads the nodes of one document; `problems` are all errors, `notes` what is not as in pgsync."""

    connection: Connection
    problems: Problems = field(default_factory=Problems)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._keys = constraints(self.connection)

    def node(self, place: Place, given: Node) -> NestedRows | None:
        """A node with its children, renamed; None where its table is not there. Errors are noted."""
        node = None
        with self.problems.noted():
            node = self._own(place, given, self._table(place.at("table"), given.table, given.of_schema))
        for number, child in enumerate(given.children, 1):
            at = place.at("children").item(number)
            made = self.node(at, child)
            with self.problems.noted():
                if node and made:
                    self._put(at, child, made, node)
        with self.problems.noted():
            if node:
                self._rename(place.at("transform.rename"), given, node)
        return node

    def key(self, given: Node, table: Relation) -> tuple[str, ...]:
        """The primary key, in pgsync's order, else what `primary_key` names; empty for neither."""
        return tuple(sorted(indexes.primary_key(self.connection, table))) or given.primary_key

    def _table(self, place: Place, name: str, schema: str) -> Relation:
        """A table or a view. UsageError where there is none."""
        table = Relation(schema, name)
        kind = catalog.kind(self.connection, table)
        if kind is None:
            place.fail(f"there is no table {table}", table_hint(self.connection, str(table)))
        if kind not in (*catalog.TABLES, catalog.Kind.VIEW):
            place.fail(f"{table} is {catalog.WORDS[kind]}", "name the tables that it reads")
        return table

    def _own(self, place: Place, given: Node, table: Relation) -> NestedRows:
        """The node of a table without children, and before it is renamed."""
        columns = {each.name: each for each in fields(self.connection, table)}
        key = tuple(name for name in self.key(given, table) if name in columns)
        node = NestedRows(table, given.called, order=key or tuple(columns)[:1])
        for name in given.columns or columns:
            with self.problems.noted():
                label, value = _value(place.at("columns"), table, columns, name)
                node.values[label] = value
        return node

    def _put(self, place: Place, given: Child, node: NestedRows, above: NestedRows) -> None:
        """Put a child into the node above."""
        tie, at = given.relationship, place.at("relationship")
        if any(each.label == node.label for each in above.children):
            place.fail(f"another child has the label {shown(node.label)}", "give one a `label` of its own")
        above.values.pop(node.label, None)  # a column of its name gives way, as in pgsync
        above.children.append(node)
        node.scalar = tie.variant == "scalar"
        # Through a table pgsync sends a list of either type.
        node.many = bool(tie.through_tables) or tie.type == "one_to_many"
        if node.scalar and node.children:
            self.notes.append(f"Not taken over: {place.key}.children, beneath a scalar")
            node.children = []
        links = []
        for each in tie.through_tables:
            schema, _, name = each.rpartition(".")
            links.append(self._table(at.at("through_tables"), name, schema or node.table.schema))
        if tie.foreign_key and not links:
            node.steps = (self._named(at.at("foreign_key"), node.table, above.table, tie.foreign_key),)
        else:
            pairs = [*pairwise((node.table, *links, above.table))]
            node.steps = self._foreign_keys(at, pairs, tie.foreign_key)
        if not links:
            node.single = indexes.is_unique(self.connection, node.table, node.steps[0].columns)

    def _named(self, place: Place, here: Relation, there: Relation, named: ForeignKey) -> Step:
        for table, names in ((here, named.child), (there, named.parent)):
            known = [each.name for each in fields(self.connection, table)]
            for name in names:
                followed.check_column(place, name, table, known)
        return Step(here, named.child, there, named.parent)

    def _foreign_keys(
        self, place: Place, pairs: Sequence[tuple[Relation, Relation]], named: ForeignKey | None
    ) -> tuple[Step, ...]:
        """The foreign key of each pair of tables, in either of both. UsageError where there is not one."""
        found = [
            [
                *(key for key in self._keys if (key.here, key.there) == (here, there)),
                *(k.back() for k in self._keys if (k.here, k.there) == (there, here) and here != there),
            ]
            for here, there in pairs
        ]
        if named:
            meant = [[step for step in steps if _is(step, named)] for steps in found]
            if not any(meant):
                (here, link), (_, there) = pairs
                hint = f"it is for a foreign key of {link} to {here} or {there}"
                place.at("foreign_key").fail("no such foreign key is there", hint)
            found = [fitting or steps for fitting, steps in zip(meant, found, strict=True)]
        for steps, (here, there) in zip(found, pairs, strict=True):
            if len(steps) != 1:
                listed = "; ".join(f"{each.here} ({', '.join(each.columns)})" for each in steps)
                what = f"{len(steps) or 'no'} foreign keys are between {here} and {there}"
                place.fail(f"{what}{f': {listed}' if steps else ''}", f"name the columns: {EXAMPLE}")
        return tuple(steps[0] for steps in found)

    def _rename(self, place: Place, given: Node, node: NestedRows) -> None:
        """Give the fields the names that they have in the document, in the node's mapping as well."""
        rules = dict(given.transform.rename)
        for child in given.children:
            if child.renames() and rules.pop(child.called, ""):
                at = place.at(child.called).key
                self.notes.append(f"Not taken over: {at}: pgsync drops it beside the child's own")
        new = {name: rules.get(name, name) for name in (*node.values, *(c.label for c in node.children))}
        if twice := [name for name, times in Counter(new.values()).items() if times > 1]:
            place.fail(f"several fields would be {shown(twice[0])}", "leave one out in a copy of the file")
        node.values = {new[name]: value for name, value in node.values.items()}
        for each in node.children:
            each.label = new[each.label]
        node.mapping = {new.get(name, name): each for name, each in given.transform.mapping.items()}


def _is(step: Step, named: ForeignKey) -> bool:
    """Whether a foreign key is meant, in whichever of both tables it is."""
    pairs = {*zip(step.columns, step.their_columns, strict=True)}
    one, other = named.child, named.parent
    return pairs in ({*zip(one, other, strict=True)}, {*zip(other, one, strict=True)})


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
