"""The tables of pgsync's schema file, their keys, and how those of two nodes are tied."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from outboxctl.core.projections import catalog, indexes
from outboxctl.core.projections.catalog import table_hint
from outboxctl.core.projections.fields import fields
from outboxctl.core.projections.tree import NestedRows, Step, constraints
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, shown
from outboxctl.operations.projection.starting.pgsync_file import Json, Problems, left_over

RELATIONSHIP = ("variant", "type", "through_tables", "foreign_key")
WORDS = {"type": ("one_to_one", "one_to_many"), "variant": ("object", "scalar")}
EXAMPLE = '"foreign_key": {"child": […], "parent": […]}'
Columns = tuple[str, ...]


@dataclass
class PgsyncTables:
    """Looks tables up; `problems` are all errors, `notes` what is not as in pgsync."""

    connection: Connection
    problems: Problems
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._keys = constraints(self.connection)

    def table(self, place: Place, given: Json, name: str) -> Relation:
        """A table or a view. UsageError where there is none."""
        table = Relation(str(given.get("schema") or "public"), name)
        kind = catalog.kind(self.connection, table)
        if kind is None:
            place.fail(f"there is no table {table}", table_hint(self.connection, str(table)))
        if kind not in (*catalog.TABLES, catalog.Kind.VIEW):
            place.fail(f"{table} is {catalog.WORDS[kind]}", "name the tables that it reads")
        return table

    def key(self, place: Place, given: Json, table: Relation) -> Columns:
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
            for key, known in WORDS.items():
                with self.problems.noted():
                    if (value := here.text(relationship, key, needed=True)) not in known:
                        here.at(key).fail(f"{shown(value)} is none of {', '.join(known)}")
            return relationship
        return {}

    def relate(self, place: Place, given: Json, node: NestedRows, above: Relation) -> None:
        """Set the steps of a node to the table above; `foreign_key` says which is meant of several."""
        with self.problems.noted():
            through = place.texts(given, "through_tables") if given.get("through_tables") else ()
            if len(through) > 1:
                place.at("through_tables").fail(f"{len(through)} tables", "pgsync takes one")
            links, named = [], _columns(place, given)
            for each in through:
                schema, _, name = each.rpartition(".")
                links = [
                    self.table(place.at("through_tables"), {"schema": schema or node.table.schema}, name)
                ]
            pairs = [*pairwise((node.table, *links, above))]
            if named and not links:
                self._check_columns(place.at("foreign_key"), pairs[0], named)
                node.steps = (Step(node.table, named[0], above, named[1]),)
            else:
                node.steps = self._foreign_keys(place, pairs, named)
            if not links:
                node.single = indexes.is_unique(self.connection, node.table, node.steps[0].columns)

    def _check_columns(
        self, place: Place, tables: tuple[Relation, Relation], named: tuple[Columns, Columns]
    ) -> None:
        for table, names in zip(tables, named, strict=True):
            known = [each.name for each in fields(self.connection, table)]
            for name in names:
                followed.check_column(place, name, table, known)

    def _foreign_keys(
        self, place: Place, pairs: Sequence[tuple[Relation, Relation]], named: tuple[Columns, Columns] | None
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


def _is(step: Step, named: tuple[Columns, Columns]) -> bool:
    """Whether a foreign key is meant, in whichever of both tables it is."""
    pairs, (child, parent) = {*zip(step.columns, step.their_columns, strict=True)}, named
    return pairs in ({*zip(child, parent, strict=True)}, {*zip(parent, child, strict=True)})


def _columns(place: Place, relationship: Json) -> tuple[Columns, Columns] | None:
    """`foreign_key`: columns of the lower table, equal to those of the upper one."""
    given, at = relationship.get("foreign_key"), place.at("foreign_key")
    if not given:
        return None
    if not isinstance(given, dict):
        at.fail(f"it must be an object, not {shown(given)}")
    lists = {part: _listed(value) for part, value in given.items()}
    child, parent = (at.texts(lists, part, several=False) for part in ("child", "parent"))
    if len(child) != len(parent) or not child:
        at.fail("`child` and `parent` must name as many columns each", EXAMPLE)
    return child, parent


def _listed(value: Any) -> Any:
    """`["product_id"]` of `{"shop.reviews": ["product_id"]}`, which pgsync also takes."""
    return next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value
