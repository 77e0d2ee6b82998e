"""A view as it is analyzed: SELECTs, what each reads, and the columns that values come from."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlglot import exp

from outboxctl.core.projections.view_texts import TableColumns, ViewTexts
from outboxctl.domain.projection import Relation


class NotUnderstoodError(Exception):
    """A part of a view that this analysis does not cover."""


@dataclass(eq=False)
class Use:
    """One reading of a table: two in a view that joins it with itself. `level` is the SELECT that reads it.

    `renamed` are other names of its first columns, `views` the views whose text has it.
    """

    table: Relation
    alias: str
    level: "Query"
    renamed: Sequence[str] = ()
    views: frozenset[Relation] = frozenset()

    def columns(self, names: Iterable[str]) -> dict[str, str]:
        """The columns of the table, of these names, by the names that they have here."""
        own = list(names)
        return dict(zip([*self.renamed, *own[len(self.renamed) :]], own, strict=False))


@dataclass(eq=False)
class Derived:
    """A SELECT in FROM or in an expression, a view, a WITH: one query, or several that UNION puts together.

    `names` are its columns. `cut` says why its rows depend on each other whatever their values are,
    `reason` why they do so for some of its columns.
    """

    names: Sequence[str]
    branches: list["Query"] = field(default_factory=list)
    cut: str = ""
    reason: str = ""


class Element(NamedTuple):
    """`unnest` of an array in FROM: its only column is an element of `array`."""

    array: exp.Column
    name: str


class Opaque(NamedTuple):
    """Rows of which nothing is known: of a function, of VALUES, of a join with a name of its own."""


Source = Use | Derived | Element | Opaque
Branch = tuple[Derived, int]


def names_of(source: Source, tables: Mapping[Relation, TableColumns]) -> Collection[str]:
    """The names of a source's columns, as far as they are known."""
    if isinstance(source, Use):
        return source.columns(tables[source.table].types)
    if isinstance(source, Element):
        return [source.name]
    return source.names if isinstance(source, Derived) else ()


@dataclass(frozen=True)
class Leaf:
    """A column of a table that a value comes from.

    `cast` is a type that the value was converted to, `element`: it is an element of that array. `crossed` are
    the derived tables between, with the branch of each. `cut` are those of them in which a condition on the
    value does not commute: which rows there are, or what is in them, depends on rows with other values.
    """

    use: Use
    column: str
    cast: str = ""
    element: bool = False
    crossed: tuple[Branch, ...] = ()
    cut: frozenset[Derived] = frozenset()

    @property
    def plain(self) -> bool:
        """Whether it is the value of the column as it is."""
        return not (self.cast or self.element)


class SourcePlace(NamedTuple):
    """Where a column's source is: the SELECT that reads it, by an alias."""

    level: "Query"
    alias: str


@dataclass(frozen=True)
class Condition:
    """Something that is true of rows. `of`: the aliases whose rows matter only where it is; None: all.

    `side`: LEFT, RIGHT or FULL where an outer join keeps other rows without it.
    """

    test: exp.Expr
    of: frozenset[str] | None
    side: str = ""


@dataclass(frozen=True)
class Membership:
    """`(x, y) IN (SELECT …)` where it decides whether a row is there at all."""

    values: Sequence[exp.Expr]
    derived: Derived


@dataclass(eq=False)
class Query:
    """One SELECT. `outer` is the one whose columns it may name, `home` what its rows are the rows of.

    `within` are the derived tables in which rows of this query decide about rows of any value, `branch` the
    branches in which it is.
    """

    select: exp.Select
    outer: "Query | None"
    home: Derived
    within: frozenset[Derived]
    branch: Mapping[Derived, int]
    withs: Mapping[str, "With"]
    sources: dict[str, Source] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)
    memberships: list[Membership] = field(default_factory=list)

    def levels(self) -> Iterator["Query"]:
        """The query itself, and those around it."""
        level: Query | None = self
        while level:
            yield level
            level = level.outer


class With(NamedTuple):
    """A WITH of some name: its SELECT, the names of its columns, and the WITHs that it may name."""

    select: exp.Expr
    columns: Sequence[str]
    others: "Mapping[str, With]"


@dataclass
class AnalysedView:
    """A view as a whole: `top` are its rows, `uses` all readings of tables in their order."""

    texts: ViewTexts
    top: Derived
    uses: list[Use] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)


def is_aggregate(node: exp.Expr, aggregates: Collection[str]) -> bool:
    """Whether it is a call of an aggregate function, by its name where the parser does not know it."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).rpartition(".")[2] in aggregates
    return isinstance(node, exp.AggFunc)
