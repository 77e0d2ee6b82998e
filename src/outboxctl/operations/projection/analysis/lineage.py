"""Where a value comes from: through subqueries, views, WITH and UNION to columns of tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from outboxctl.core.projections.view_texts import TableColumns
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection.analysis.model import (
    Derived,
    Element,
    Leaf,
    Query,
    SourcePlace,
    Use,
    names_of,
)

TEXTS = ("pg_catalog.text", "pg_catalog.varchar")
AS_TEXT = (exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR)


class Lineage:
    """The leaves of values in one view; `types` are those of each table's columns."""

    def __init__(self, tables: Mapping[Relation, TableColumns]) -> None:
        self._tables = tables

    def place(self, query: Query, column: exp.Column) -> SourcePlace | None:
        """The source of a column that an expression of a query names; None for one that is not found."""
        for level in query.levels():
            if column.table:
                found = [column.table] if column.table in level.sources else []
            else:
                sources = level.sources.items()
                found = [alias for alias, each in sources if column.name in names_of(each, self._tables)]
            if found:
                return SourcePlace(level, found[0]) if len(found) == 1 else None
        return None

    def value(self, query: Query, node: exp.Expr) -> list[Leaf]:
        """The leaves of an expression: a column, or one that is cast. None where it is anything else."""
        inner = node.unalias().unnest()
        if isinstance(inner, exp.Cast):
            return [made for leaf in self.value(query, inner.this) for made in self._cast(leaf, inner.to)]
        if not isinstance(inner, exp.Column) or isinstance(inner.this, exp.Star):
            return []
        place = self.place(query, inner)
        return self.of(place, inner.name) if place else []

    def of(self, place: SourcePlace, name: str) -> list[Leaf]:
        """The leaves of a column of a source; several where UNION puts rows together."""
        source = place.level.sources[place.alias]
        if isinstance(source, Use):
            columns = source.columns(self._tables[source.table].types)
            return [Leaf(source, columns[name])] if name in columns else []
        if isinstance(source, Derived):
            return self.output(source, name)
        if isinstance(source, Element) and name == source.name:
            return [
                replace(leaf, element=True) for leaf in self.value(place.level, source.array) if leaf.plain
            ]
        return []

    def output(self, derived: Derived, name: str) -> list[Leaf]:
        """The leaves of a column of a derived table; none where one of its branches has none."""
        found: list[Leaf] = []
        index = list(derived.names).index(name) if name in derived.names else -1
        for number, query in enumerate(derived.branches):
            outputs = query.select.expressions
            inner = self.value(query, outputs[index]) if 0 <= index < len(outputs) else []
            if not inner:
                return []
            why = derived.cut or cut_by(query, outputs[index].unalias().unnest())
            derived.reason = derived.reason or why
            found += [
                replace(
                    leaf,
                    crossed=((derived, number), *leaf.crossed),
                    cut=leaf.cut | {derived} if why else leaf.cut,
                )
                for leaf in inner
            ]
        return found

    def type(self, leaf: Leaf) -> str:
        """The type of the leaf's column."""
        return self._tables[leaf.use.table].types.get(leaf.column, "")

    def _cast(self, leaf: Leaf, to: exp.DataType) -> Iterator[Leaf]:
        if leaf.plain and self.type(leaf) in TEXTS and to.this in AS_TEXT and not to.expressions:
            yield leaf
        elif leaf.plain:
            yield replace(leaf, cast=to.sql("postgres"))


def cut_by(query: Query, column: exp.Expr) -> str:
    """Why rows with one value of this output depend on those with others; empty where they do not."""
    select = query.select
    if any(select.args.get(name) for name in ("limit", "offset", "fetch")):
        return "LIMIT"
    distinct = select.args.get("distinct")
    if distinct and distinct.args.get("on") and not _among(column, distinct.args["on"]):
        return "DISTINCT ON"
    for window in _windows(select):
        if not any(_among(column, each) for each in _partition(select, window)):
            return f"{window.this.sql('postgres', normalize_functions='lower')} OVER"
    return ""


def _windows(select: exp.Select) -> Iterator[exp.Window]:
    """The window functions of a SELECT, without those of SELECTs in it."""
    for part in [*select.expressions, select.args.get("order"), select.args.get("qualify")]:
        if part is not None:
            yield from (each for each in own_parts(part) if isinstance(each, exp.Window))


def own_parts(node: exp.Expr) -> Iterator[exp.Expr]:
    """An expression and its parts, but those of SELECTs in it."""
    return node.walk(bfs=False, prune=lambda each: isinstance(each, (exp.Select, exp.SetOperation)))


def _partition(select: exp.Select, window: exp.Window) -> Sequence[exp.Expr]:
    """What a window function's rows are divided by."""
    name = window.alias
    named = [each for each in select.args.get("windows") or () if name and each.this.name == name]
    return (named[0] if named else window).args.get("partition_by") or ()


def _among(column: exp.Expr, node: exp.Expr) -> bool:
    """Whether an expression is this column, or a list with it."""
    inner = node.unnest()
    parts = inner.expressions if isinstance(inner, exp.Tuple) else [inner]
    return any(_same(each.unnest(), column) for each in parts)


def _same(one: exp.Expr, other: exp.Expr) -> bool:
    """Whether both are the same column of the same source."""
    if not (isinstance(one, exp.Column) and isinstance(other, exp.Column)):
        return False
    return (one.table, one.name) == (other.table, other.name)
