"""The tables of pgsync's schema file, their keys, and how those of two nodes are tied."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outboxctl.core.projections import catalog, indexes
from outboxctl.core.projections.catalog import table_hint
from outboxctl.core.projections.tree import NestedRows, constraints
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting.pgsync_file import Json, left_over
from outboxctl.operations.projection.starting.pgsync_steps import Ties
from outboxctl.operations.projection.starting.problems import Problems

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

RELATIONSHIP = ("variant", "type", "through_tables", "foreign_key")
VARIANTS, TYPES = ("object", "scalar"), ("one_to_one", "one_to_many")


@dataclass
class PgsyncTables:
    """Looks tables up; `problems` are all errors, `notes` what is not as in pgsync."""

    connection: "Connection"
    problems: Problems
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ties = Ties(self.connection, constraints(self.connection))

    def table(self, place: Place, given: Json, name: str) -> Relation:
        """A table or a view. UsageError where there is none."""
        table = Relation(str(given.get("schema") or "public"), name)
        kind = catalog.kind(self.connection, table)
        if kind is None:
            place.fail(f"there is no table {table}", table_hint(self.connection, str(table)))
        if kind not in (*followed.TABLES, catalog.Kind.VIEW):
            place.fail(f"{table} is {followed.WORDS[kind]}", "name the tables that it reads")
        return table

    def key(self, place: Place, given: Json, table: Relation) -> tuple[str, ...]:
        """The primary key, in pgsync's order, else what `primary_key` names; empty for neither."""
        if primary := indexes.primary_key(self.connection, table):
            return tuple(sorted(primary))
        return place.texts(given, "primary_key", several=False) if given.get("primary_key") else ()

    def relationship(self, place: Place, given: Json) -> Json:
        """How a node is tied to the one above; empty where it is not said, which is noted."""
        with self.problems.noted():
            relationship: Json = place.value(given, "relationship", dict, "an object")
            here = place.at("relationship")
            self.notes += left_over(here, relationship, RELATIONSHIP)
            for key, known in (("type", TYPES), ("variant", VARIANTS)):
                with self.problems.noted():
                    if (value := here.text(relationship, key, needed=True)) not in known:
                        here.at(key).fail(f"{shown(value)} is none of {', '.join(known)}")
            return relationship
        return {}

    def relate(self, place: Place, given: Json, node: NestedRows, above: Relation) -> None:
        """Set the steps of a node to the table above."""
        with self.problems.noted():
            through = place.texts(given, "through_tables") if given.get("through_tables") else ()
            if len(through) > 1:
                place.at("through_tables").fail(f"{len(through)} tables", "pgsync takes one")
            if through:
                self._through(place, given, node, through[0], above)
                return
            node.steps = self._ties.direct(place, given, node.table, above)
            first = node.steps[0]
            node.single = indexes.is_unique(self.connection, first.here, first.columns)

    def _through(self, place: Place, given: Json, node: NestedRows, named: str, above: Relation) -> None:
        schema, _, name = named.rpartition(".")
        link = self.table(place.at("through_tables"), {"schema": schema or node.table.schema}, name)
        node.steps = self._ties.through(place, given, node.table, link, above)
