"""The nodes of a document of pgsync's schema file, as a tree of tables."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outboxctl.core.projections import catalog, indexes
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.foreign_keys import constraints
from outboxctl.core.projections.nearest import table_hint
from outboxctl.core.projections.tree import NestedRows
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting import pgsync_values
from outboxctl.operations.projection.starting.pgsync_file import Json, an_object, children, left_over
from outboxctl.operations.projection.starting.pgsync_mapping import of_fields
from outboxctl.operations.projection.starting.pgsync_steps import Ties
from outboxctl.operations.projection.starting.pgsync_transforms import Transforms
from outboxctl.operations.projection.starting.problems import Problems

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

NODE = (
    *("table", "schema", "columns", "label", "primary_key", "base_tables"),
    *("relationship", "children", "transform"),
)
RELATIONSHIP = ("variant", "type", "through_tables", "foreign_key")
TRANSFORMS = ("rename", "replace", "concat", "mapping")
VARIANTS, TYPES = ("object", "scalar"), ("one_to_one", "one_to_many")


@dataclass
class NodeReading:
    """Reads the nodes of one document; `problems` are all errors, `notes` what is not as in pgsync."""

    connection: "Connection"
    problems: Problems
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ties = Ties(self.connection, constraints(self.connection))

    def node(self, place: Place, given: Json, above: Json | None = None) -> NestedRows | None:
        """A node with its children, transformed; None where its table is not there. Errors are noted.

        `above` are transforms that the node above has for this one.
        """
        self.notes += left_over(place, given, NODE)
        table = None
        with self.problems.noted():
            table = self._table(place.at("table"), given, place.text(given, "table", needed=True))
        node = self._own(place, given, table) if table else None
        transforms = self._transforms(place, given, above or {})
        renaming = []
        with self.problems.noted():
            for at, child in children(place, given):
                beneath = transforms.beneath(_label(child))
                if (made := self._child(at, child, node, beneath)) and node:
                    self._attach(at, node, made)
                    renaming += [made.label] if _renames(child) else []
        if node:
            transforms.apply(node, renaming=tuple(renaming))
            with self.problems.noted():
                node.mapping = _mapping(place.at("transform"), transforms.given)
        self.notes += transforms.notes
        return node

    def _own(self, place: Place, given: Json, table: Relation) -> NestedRows:
        """The node of a table without children, and before its transforms."""
        columns = {each.name: each for each in fields(self.connection, table)}
        node = NestedRows(table, _label(given))
        names: tuple[str, ...] = ()
        with self.problems.noted():
            place.text(given, "label")
            names = place.texts(given, "columns") if given.get("columns") else ()
        node.values = pgsync_values.values(place.at("columns"), table, columns, names, self.problems)
        broken = [name for name in names if ">>" in name]
        self.notes += [
            f"{place.key}: pgsync 7.3 reads no operator with >> as such: {name}" for name in broken
        ]
        node.order = tuple(columns)[:1]
        with self.problems.noted():
            node.order = self.key(place, given, table) or node.order
        relationship = given.get("relationship")
        if isinstance(relationship, dict):
            node.scalar = relationship.get("variant") == "scalar"
            # Through a table pgsync sends a list of either type.
            node.many = bool(relationship.get("through_tables")) or relationship.get("type") == "one_to_many"
        return node

    def key(self, place: Place, given: Json, table: Relation) -> tuple[str, ...]:
        """The primary key, in pgsync's order, else what `primary_key` names; empty for neither."""
        if primary := indexes.primary_key(self.connection, table):
            return tuple(sorted(primary))
        named = place.texts(given, "primary_key", several=False) if given.get("primary_key") else ()
        known = [each.name for each in fields(self.connection, table)]
        for name in named:
            followed.check_column(place.at("primary_key"), name, table, known)
        return named

    def _transforms(self, place: Place, given: Json, above: Json) -> Transforms:
        own: Json = {}
        with self.problems.noted():
            own = an_object(place, given, "transform")
        self.notes += left_over(place.at("transform"), own, TRANSFORMS)
        return Transforms(place.at("transform"), own, above, self.problems)

    def _attach(self, place: Place, node: NestedRows, child: NestedRows) -> None:
        """Add a child; a column of its name gives way, as in pgsync."""
        if any(each.label == child.label for each in node.children):
            place.fail(f"another child has the label {shown(child.label)}", "give one a `label` of its own")
        node.values.pop(child.label, None)
        node.children.append(child)

    def _child(self, place: Place, given: Json, above: NestedRows | None, rules: Json) -> NestedRows | None:
        node = self.node(place, given, rules)
        here, relationship = place.at("relationship"), {}
        with self.problems.noted():
            relationship = place.value(given, "relationship", dict, "an object")
            self._check_words(here, relationship)
        if node is None or above is None or not relationship:
            return node
        self._relate(here, relationship, node, above)
        if node.scalar and node.children:
            self.notes.append(f"Not taken over: {place.key}.children, beneath a scalar")
            node.children = []
        return node

    def _relate(self, place: Place, given: Json, node: NestedRows, above: NestedRows) -> None:
        with self.problems.noted():
            through = place.texts(given, "through_tables") if given.get("through_tables") else ()
            if len(through) > 1:
                place.at("through_tables").fail(f"{len(through)} tables", "pgsync takes one")
            if not through:
                node.steps = self._ties.direct(place, given, node.table, above.table)
                first = node.steps[0]
                node.single = indexes.is_unique(self.connection, first.here, first.columns)
                return
            schema, _, name = through[0].rpartition(".")
            link = self._table(place.at("through_tables"), {"schema": schema or node.table.schema}, name)
            node.steps = self._ties.through(place, given, node.table, link, above.table)
            one = given.get("type") != "one_to_many"
            if one and not (node.scalar or node.children) and len(node.values) > 1:
                name = place.key.rpartition(".")[0]
                self.notes.append(f"{name}: of such a node pgsync 7.3 sends {next(iter(node.values))} alone")

    def _check_words(self, place: Place, given: Json) -> None:
        self.notes += left_over(place, given, RELATIONSHIP)
        for key, known in (("type", TYPES), ("variant", VARIANTS)):
            with self.problems.noted():
                if (value := place.text(given, key, needed=True)) not in known:
                    place.at(key).fail(f"{shown(value)} is none of {', '.join(known)}")

    def _table(self, place: Place, given: Json, name: str) -> Relation:
        table = Relation(str(given.get("schema") or "public"), name)
        kind = catalog.kind(self.connection, table)
        if kind is None:
            place.fail(f"there is no table {table}", table_hint(self.connection, str(table)))
        if kind not in (*followed.TABLES, catalog.Kind.VIEW):
            place.fail(f"{table} is {followed.WORDS[kind]}", "name the tables that it reads")
        return table


def _label(given: Json) -> str:
    return str(given.get("label") or given.get("table") or "")


def _renames(given: Any) -> bool:
    """Whether a node, or one beneath it, renames a field."""
    if not isinstance(given, dict):
        return False
    transform, beneath = given.get("transform"), given.get("children")
    own = isinstance(transform, dict) and bool(transform.get("rename"))
    return own or (isinstance(beneath, list) and any(map(_renames, beneath)))


def _mapping(place: Place, transform: Json) -> Json:
    """The fields of the index that a node declares, by their names in the document."""
    rename = transform.get("rename")
    new = (
        {name: each for name, each in rename.items() if isinstance(each, str)}
        if isinstance(rename, dict)
        else {}
    )
    return {new.get(name, name): each for name, each in of_fields(place, transform, "mapping").items()}
