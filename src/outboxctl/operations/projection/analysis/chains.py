"""Which tables a row's changes reach, by the equalities that must hold for the row to matter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import NamedTuple

from sqlglot import exp

from outboxctl.core.projections.view_texts import TableColumns
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection.analysis.lineage import Lineage
from outboxctl.operations.projection.analysis.model import (
    AnalysedView,
    Branch,
    Derived,
    Leaf,
    Query,
    SourcePlace,
    Use,
)

Column = tuple[Use, str]
ALIKE = (
    frozenset(f"pg_catalog.int{size}" for size in (2, 4, 8)),
    frozenset(("pg_catalog.text", "pg_catalog.varchar")),
)


class Edge(NamedTuple):
    """Rows of the source's table matter only beside rows of the target's in which both values are equal."""

    source: Leaf
    target: Leaf
    operator: str


@dataclass
class Reach:
    """What a use of a table reaches: how, in the order of the number of joins, and which columns are equal.

    `cut` says what stands in the way of others, `kept` is the outer join that keeps rows without them.
    """

    use: Use
    tables: Mapping[Relation, TableColumns]
    came: dict[Use, list[Edge]] = field(default_factory=dict)
    same: dict[Column, Column] = field(default_factory=dict)
    cut: str = ""
    kept: str = ""

    def path(self, end: Use) -> list[list[Edge]]:
        """The joins from the use to another one, one after the other."""
        steps: list[list[Edge]] = []
        while end is not self.use:
            steps.insert(0, self.came[end])
            end = self.came[end][0].source.use
        return steps

    def holding(self, use: Use, leaf: Leaf) -> list[str]:
        """The columns of a use that are equal to a leaf, that column itself first."""
        own, wanted = self.tables[use.table].types, self.first((leaf.use, leaf.column))
        names = sorted(own, key=lambda name: use is not leaf.use or name != leaf.column)
        return [name for name in names if self.first((use, name)) == wanted]

    def first(self, column: Column) -> Column:
        """The one column that stands for all that are equal to it."""
        while column in self.same and self.same[column] != column:
            column = self.same[column]
        return column


def same_text(one: str, other: str) -> bool:
    """Whether equal values of both types have the same text."""
    return one == other or any({one, other} <= group for group in ALIKE)


class Chains:
    """All equalities of a view, and what can be reached by them."""

    def __init__(self, view: AnalysedView) -> None:
        self._tables = view.texts.tables
        self._lineage = Lineage(self._tables)
        self._edges_of: dict[Use, list[Edge]] = {}
        self._kept: dict[Use, str] = {}  # by which outer join, also beside no row of the other side
        for query in view.queries:
            for edge in self._edges(query):
                self._edges_of.setdefault(edge.source.use, []).append(edge)

    def reach(self, use: Use, ends: Sequence[Branch] = (), *, rows: bool = True) -> Reach:
        """What a use reaches. `ends`: the branches of UNIONs that the key comes from.

        With `rows` by what decides which rows matter, else by which rows there are beside one of the use.
        """
        found, inside = Reach(use, self._tables), use.level.within if rows else frozenset[Derived]()
        pending = [use]
        for here in pending:  # grows: breadth first
            found.kept = found.kept or self._kept.get(here, "")
            for edge in self._edges_of.get(here, ()):
                if stop := edge.source.cut & inside:
                    found.cut = found.cut or next(iter(stop)).reason
                elif _open(use, edge.target, ends):
                    self._go(found, edge, pending)
        return found

    def _go(self, found: Reach, edge: Edge, pending: list[Use]) -> None:
        there = edge.target.use
        if there is not found.use:
            if there not in found.came:
                found.came[there] = []
                pending.append(there)
            if not found.came[there] or found.came[there][0].source.use is edge.source.use:
                found.came[there].append(edge)
        types = [self._lineage.type(leaf) for leaf in (edge.source, edge.target)]
        if edge.operator == "=" and edge.source.plain and edge.target.plain and same_text(*types):
            one, other = (edge.source.use, edge.source.column), (there, edge.target.column)
            found.same[found.first(one)] = found.first(other)

    def _edges(self, query: Query) -> Iterator[Edge]:
        for condition in query.conditions:
            test, of = condition.test, condition.of
            if operator := _equality(test):
                sides = (self._side(query, each) for each in (test.this, test.expression))
                for (place, leaves), (there, others) in permutations(sides):
                    if not (place and there and place.level is query):
                        continue
                    if of is None or place.alias in of:
                        yield from _pairs(leaves, others, operator)
                    else:
                        self._kept |= {leaf.use: condition.side for leaf in leaves}
        for member in query.memberships:
            for name, value in zip(member.derived.names, member.values, strict=False):
                inner = self._lineage.output(member.derived, name)
                yield from _pairs(inner, self._lineage.value(query, value), "=")

    def _side(self, query: Query, node: exp.Expr) -> tuple[SourcePlace | None, Sequence[Leaf]]:
        """Of one side of an equality where it is, and the columns that it comes from."""
        inner = node.unnest()
        element = isinstance(inner, exp.Any)
        inner = inner.this.unnest() if element else inner
        leaves = self._lineage.value(query, inner)
        column = inner.find(exp.Column) if leaves else None
        place = self._lineage.place(query, column) if column else None
        if element:
            leaves = [replace(leaf, element=True) for leaf in leaves if leaf.plain]
        return place, leaves


def _equality(test: exp.Expr) -> str:
    """The operator; empty for another one."""
    if isinstance(test, exp.Operator) and str(test.args["operator"]).endswith(".="):
        return f"OPERATOR({test.args['operator']})"
    return "=" if isinstance(test, exp.EQ) else ""


def _pairs(ones: Sequence[Leaf], others: Sequence[Leaf], operator: str) -> Iterator[Edge]:
    for one in ones:
        for other in others:
            if one.use is not other.use and not (one.element and other.element):
                yield Edge(one, other, operator)


def _open(use: Use, target: Leaf, ends: Sequence[Branch]) -> bool:
    """Whether it is one row of the target that is meant: not another row of what the use is in itself."""
    inside: Mapping[Derived, int] = use.level.branch
    return all(
        derived not in inside and (len(derived.branches) == 1 or (derived, number) in ends)
        for derived, number in target.crossed
    )
