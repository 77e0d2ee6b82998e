"""Whether joins can make several rows of one key: a table that is joined on columns that are not unique."""

from collections.abc import Collection, Iterator, Sequence

from sqlglot import exp

from outboxctl.operations.projection.analysis.lineage import Lineage, own_parts
from outboxctl.operations.projection.analysis.model import (
    AnalysedView,
    Branch,
    Derived,
    Leaf,
    Query,
    SourcePlace,
    Use,
    is_aggregate,
)

Column = tuple[str, str]  # an alias, and a column of its source


def several(view: AnalysedView, lineage: Lineage, key: Leaf, branches: Sequence[Branch]) -> str:
    """What makes several rows of one key as far as joins say; empty where nothing seems to."""
    chosen = dict(branches)
    rows = _Rows(view, lineage)
    name = next(each for each in view.top.names if key in lineage.output(view.top, each))
    derived: Derived | None = view.top
    while derived is not None:
        query = derived.branches[chosen.get(derived, 0)]
        output = query.select.expressions[list(derived.names).index(name)].unalias().unnest()
        place = lineage.place(query, output) if isinstance(output, exp.Column) else None
        if place is None:
            return ""
        if fault := rows.fault(query, {place.alias}, frozenset()):
            return fault
        source, name = query.sources[place.alias], output.name
        derived = source if isinstance(source, Derived) else None
    return ""


class _Rows:
    def __init__(self, view: AnalysedView, lineage: Lineage) -> None:
        self._tables, self._aggregates = view.texts.tables, view.texts.aggregates
        self._lineage = lineage

    def fault(self, query: Query, single: set[str], known: Collection[Column]) -> str:
        """The first source that may have several rows beside one of `single` (or for `known` values)."""
        if query.select.args.get("distinct"):
            return ""
        pending = [alias for alias in query.sources if alias not in single]
        while found := [alias for alias in pending if self._one(query, alias, single, known)]:
            single |= {*found}
            pending = [alias for alias in pending if alias not in single]
        group = query.select.args.get("group")
        if group and all(self._has_one(query, each, single) for each in group.expressions):
            return ""
        for alias in pending:
            # One that is joined on no column may be a table of one row.
            if columns := ", ".join(sorted(self._fixed(query, alias, single, known))):
                source = query.sources[alias]
                what = f"{source.table} ({alias})" if isinstance(source, Use) else alias
                return f"{what} is joined on {columns}, which is not unique there"
        return ""

    def _one(self, query: Query, alias: str, single: set[str], known: Collection[Column]) -> bool:
        source, columns = query.sources[alias], self._fixed(query, alias, single, known)
        if isinstance(source, Use):
            place = SourcePlace(query, alias)
            actual = {leaf.column for each in columns for leaf in self._lineage.of(place, each)}
            return any(each <= actual for each in self._tables[source.table].unique)
        return not isinstance(source, Derived) or len(source.branches) > 1 or self._derived(source, columns)

    def _derived(self, derived: Derived, columns: Collection[str]) -> bool:
        query = derived.branches[0]
        if self._chosen(query.select):
            return True
        outputs = dict(zip(derived.names, query.select.expressions, strict=False))
        inner = [outputs[name].unalias().unnest() for name in columns if name in outputs]
        places = [(self._lineage.place(query, each), each) for each in inner if isinstance(each, exp.Column)]
        known = [(place.alias, each.name) for place, each in places if place and place.level is query]
        if group := query.select.args.get("group"):
            values = [each.unnest() for each in group.expressions]
            return all(each in inner or self._in_one_group(query, each, known) for each in values)
        return not self.fault(query, set(), known)

    def _in_one_group(self, query: Query, value: exp.Expr, known: Collection[Column]) -> bool:
        """Whether what rows are grouped by is a column that has one value beside `known`."""
        place = self._lineage.place(query, value) if isinstance(value, exp.Column) else None
        if place is None:
            return False
        return place.level is not query or value.name in self._fixed(query, place.alias, set(), known)

    def _fixed(self, query: Query, alias: str, single: set[str], known: Collection[Column]) -> frozenset[str]:
        """The columns of a source that have one value beside a row of `single`."""
        found = {name for other, name in known if other == alias}
        for one, other in self._equalities(query):
            place = self._lineage.place(query, one) if isinstance(one, exp.Column) else None
            if place == SourcePlace(query, alias) and self._has_one(query, other, single):
                found.add(one.name)
        return frozenset(found)

    def _has_one(self, query: Query, value: exp.Expr, single: set[str]) -> bool:
        if value.find(exp.Query):
            return False
        places = [self._lineage.place(query, each) for each in value.find_all(exp.Column)]
        return all(place and (place.level is not query or place.alias in single) for place in places)

    def _equalities(self, query: Query) -> Iterator[tuple[exp.Expr, exp.Expr]]:
        for condition in query.conditions:
            if isinstance(condition.test, exp.EQ):
                sides = [_bare(condition.test.this), _bare(condition.test.expression)]
                yield sides[0], sides[1]
                yield sides[1], sides[0]

    def _chosen(self, select: exp.Select) -> bool:
        """Whether it has one row, or numbered ones: how many rows one number has is not looked into."""
        parts = [each for part in select.expressions for each in own_parts(part)]
        group, limit = select.args.get("group"), select.args.get("limit")
        if (limit and limit.expression.name == "1") or (
            group and group.find(exp.Rollup, exp.Cube, exp.GroupingSets)
        ):
            return True
        return any(
            isinstance(each, exp.Window) or (not group and is_aggregate(each, self._aggregates))
            for each in parts
        )


def _bare(node: exp.Expr) -> exp.Expr:
    inner = node.unnest()
    return _bare(inner.this) if isinstance(inner, exp.Cast) else inner
