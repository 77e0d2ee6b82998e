"""A view's text, parsed and read into SELECTs with what each reads; views within it by their text."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from outboxctl.core.projections.view_texts import ViewTexts
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection.analysis.joins import Join, conjuncts, placed
from outboxctl.operations.projection.analysis.lineage import is_aggregate
from outboxctl.operations.projection.analysis.model import (
    AnalysedView,
    Derived,
    Element,
    Joined,
    Membership,
    NotUnderstoodError,
    Opaque,
    Query,
    Source,
    Use,
)

# The parser refuses a join in parentheses that begins with `unnest`: it is put behind one row of no table.
UNNEST_FIRST = re.compile(r"(\bFROM \(+)(?=unnest\()")
ONE_ROW = r"\1(SELECT 1) outbox_one CROSS JOIN "
FROM, JOINS, WITH = ("from_", "from"), "joins", ("with_", "with")


class With(NamedTuple):
    """A WITH of some name: its SELECT, the names of its columns, and the WITHs that it may name."""

    select: exp.Expr
    columns: Sequence[str]
    others: "Mapping[str, With]"


def read(texts: ViewTexts, view: Relation) -> AnalysedView:
    """Read a view, or a table as the SELECT of its columns. Raises NotUnderstoodError."""
    return _Reader(texts).read(view)


def parsed(sql: str) -> exp.Expr:
    """The tree of a SELECT. Raises NotUnderstoodError where the parser refuses it."""
    try:
        return sqlglot.parse_one(sql, read="postgres")
    except (SqlglotError, RecursionError) as error:
        if (behind := UNNEST_FIRST.sub(ONE_ROW, sql)) != sql:
            return parsed(behind)
        said = brief(str(error).partition("\n")[0], 200)
        raise NotUnderstoodError(f"its text is not understood: {said}") from None


class _Reader:
    def __init__(self, texts: ViewTexts) -> None:
        self._texts = texts
        self._view = AnalysedView(texts, Derived([]))
        self._open: list[exp.Expr] = []  # WITHs that are being read
        self._recursive: set[int] = set()

    def read(self, view: Relation) -> AnalysedView:
        self._view.top = self._derived(self._parsed(view), None, {}, frozenset(), {})
        return self._view

    def _parsed(self, view: Relation) -> exp.Expr:
        if view in self._texts.views:
            return parsed(self._texts.views[view])
        if view not in self._texts.tables:
            raise NotUnderstoodError(f"nothing is known of {view}")
        table = exp.to_table(view.name, db=view.schema)
        columns = [exp.column(name, table=view.name, quoted=True) for name in self._texts.tables[view].types]
        return exp.select(*columns).from_(table)

    def _derived(
        self,
        node: exp.Expr,
        outer: Query | None,
        withs: Mapping[str, With],
        within: frozenset[Derived],
        branch: Mapping[Derived, int],
    ) -> Derived:
        made = Derived([])
        for number, (select, known) in enumerate(self._branches(node, withs, made)):
            query = Query(select, outer, made, within | {made}, {**branch, made: number})
            made.branches.append(query)
            self._view.queries.append(query)
            self._fill(query, known)
        made.names = [each.alias_or_name for each in made.branches[0].select.expressions]
        return made

    def _branches(
        self, node: exp.Expr, withs: Mapping[str, With], made: Derived
    ) -> Iterator[tuple[exp.Select, Mapping[str, With]]]:
        known = {**withs, **_withs(node, withs)}
        if isinstance(node, (exp.Subquery, exp.Paren)):
            made.cut = made.cut or _limited(node)
            yield from self._branches(node.this, known, made)
        elif isinstance(node, exp.SetOperation):
            made.cut = made.cut or _limited(node)
            for side in (node.this, node.expression):
                yield from self._branches(side, known, made)
        elif isinstance(node, exp.Select):
            yield node, known
        else:
            raise NotUnderstoodError(f"not a SELECT: {brief(node.sql('postgres'), 80)}")

    def _fill(self, query: Query, withs: Mapping[str, With]) -> None:
        joins: list[Join] = []
        for node in _listed(query.select, *FROM):
            self._from(query, node.this, withs, joins)
        left = frozenset(query.sources)
        for node in _listed(query.select, JOINS):
            left |= self._join(query, left, node, withs, joins)
        members = self._subqueries(query, withs, joins)
        where = [each for node in _listed(query.select, "where") for each in conjuncts(node.this)]
        for condition in placed(where, joins):
            if id(condition.test) in members:
                values, derived = members[id(condition.test)]
                query.memberships.append(Membership(values, derived, condition.of))
            query.conditions.append(condition)

    def _from(
        self, query: Query, node: exp.Expr, withs: Mapping[str, With], joins: list[Join]
    ) -> frozenset[str]:
        """Add what a part of FROM reads; returns its aliases."""
        alias = node.alias
        if isinstance(node, exp.Subquery) and isinstance(node.this, (exp.Table, exp.Subquery)):
            inner = self._from(query, node.this, withs, joins)
            if alias:  # a join with a name
                own = [] if _columns(node) else sorted(inner, key=[*query.sources].index)
                query.sources[alias] = Joined(own)
                inner |= {alias}
        else:
            name = alias or node.name
            query.sources[name] = self._source(query, node, withs)
            inner = frozenset([name])
        for join in _listed(node, JOINS):
            inner |= self._join(query, inner, join, withs, joins)
        return inner

    def _join(
        self,
        query: Query,
        left: frozenset[str],
        node: exp.Expr,
        withs: Mapping[str, With],
        joins: list[Join],
    ) -> frozenset[str]:
        right = self._from(query, node.this, withs, joins)
        tests = conjuncts(node.args["on"]) if node.args.get("on") else []
        tests += [self._using(query, left, right, each.name) for each in node.args.get("using") or ()]
        joins.append(Join(left, right, node.args.get("side") or "", tests))
        return right

    def _using(self, query: Query, left: frozenset[str], right: frozenset[str], name: str) -> exp.Expr:
        sides = [
            next((alias for alias in query.sources if alias in side and self._has(query, alias, name)), "")
            for side in (left, right)
        ]
        return exp.EQ(this=exp.column(name, table=sides[0]), expression=exp.column(name, table=sides[1]))

    def _has(self, query: Query, alias: str, name: str) -> bool:
        source = query.sources[alias]
        if isinstance(source, Use):
            return name in source.columns(self._texts.tables[source.table].types)
        return name in source.names if isinstance(source, Derived) else False

    def _source(self, query: Query, node: exp.Expr, withs: Mapping[str, With]) -> Source:
        if isinstance(node, exp.Table):
            return self._named(query, node, withs)
        inner, outer = node, query.outer
        if isinstance(node, exp.Lateral):
            inner, outer = node.this, query
        if isinstance(inner, exp.Subquery):
            return _renamed(self._derived(inner.this, outer, withs, query.within, query.branch), node)
        if isinstance(inner, exp.Unnest) and isinstance(array := _only(inner.expressions), exp.Column):
            return Element(array, next(iter(_columns(node)), node.alias))
        for each in nested(inner):
            self._derived(each, query, withs, query.within, query.branch)
        return Opaque(brief(inner.sql("postgres"), 80))

    def _named(self, query: Query, node: exp.Table, withs: Mapping[str, With]) -> Source:
        table = Relation(node.db, node.name)
        if table in self._texts.tables:
            use = Use(table, node.alias_or_name, query)
            self._view.uses.append(use)
            use.renamed = _columns(node)
            return use
        if table in self._texts.views:
            made = self._derived(parsed(self._texts.views[table]), None, {}, query.within, query.branch)
            return _renamed(made, node)
        if not node.db and node.name in withs:
            return _renamed(self._with(query, withs[node.name], node.name), node)
        return Opaque(brief(node.sql("postgres"), 80))

    def _with(self, query: Query, named: With, name: str) -> Derived | Opaque:
        if any(named.select is each for each in self._open):
            self._recursive.add(id(named.select))
            return Opaque(name)
        self._open.append(named.select)
        made = self._derived(named.select, None, named.others, query.within, query.branch)
        self._open.pop()
        made.names = [*named.columns, *made.names[len(named.columns) :]]
        if id(named.select) in self._recursive:
            made.cut = f"WITH RECURSIVE {name}"
        return made

    def _subqueries(
        self, query: Query, withs: Mapping[str, With], joins: Iterable[Join]
    ) -> dict[int, tuple[Sequence[exp.Expr], Derived]]:
        """Read the SELECTs in expressions; those of `IN` by the place of that test in the tree."""
        found: dict[int, tuple[Sequence[exp.Expr], Derived]] = {}
        parts = [(name, part) for name, part in _expressions(query.select)]
        parts += [("on", test) for join in joins for test in join.tests]
        for name, part in parts:
            for node in nested(part):
                alone = name == "expressions" and not self._combined(node, part)
                within = query.within - {query.home} if alone else query.within
                made = self._derived(node, query, withs, within, query.branch)
                test = node.find_ancestor(exp.In)
                query_of = test.args.get("query") if test is not None else None
                if test is not None and (query_of is node or query_of is node.parent):
                    found[id(test)] = (_values(test.this), made)
        return found

    def _combined(self, node: exp.Expr, part: exp.Expr) -> bool:
        """Whether an aggregate or a window function takes values of several rows for it."""
        above = node.parent
        while above is not None and above is not part.parent:
            if isinstance(above, (exp.Window, exp.Filter, exp.WithinGroup)):
                return True
            if is_aggregate(above, self._texts.aggregates):
                return True
            above = above.parent
        return False


def nested(node: exp.Expr) -> Iterator[exp.Expr]:
    """The outermost SELECTs in an expression."""
    if isinstance(node, (exp.Select, exp.SetOperation)):
        yield node
        return
    for child in node.iter_expressions():
        yield from nested(child)


def _expressions(select: exp.Select) -> Iterator[tuple[str, exp.Expr]]:
    """The expressions of a SELECT, but those in FROM and in WITH, each with the clause that it is in."""
    for name, value in select.args.items():
        if name not in (*FROM, JOINS, *WITH):
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, exp.Expr):
                    yield name, each


def _listed(node: exp.Expr, *names: str) -> list[Any]:
    found: Any = next((node.args[name] for name in names if node.args.get(name)), [])
    return found if isinstance(found, list) else [found]


def _withs(node: exp.Expr, withs: Mapping[str, With]) -> dict[str, With]:
    known: dict[str, With] = {}
    for clause in _listed(node, *WITH):
        others = dict(withs)
        for each in clause.expressions:
            known[each.alias] = With(each.this, _columns(each), others)
            if not clause.args.get("recursive"):
                others = {**others, each.alias: known[each.alias]}
        if clause.args.get("recursive"):
            others.update(known)
    return known


def _limited(node: exp.Expr) -> str:
    return "LIMIT" if node.args.get("limit") or node.args.get("offset") else ""


def _columns(node: exp.Expr) -> list[str]:
    alias = node.args.get("alias")
    return (
        [each.name for each in alias.args.get("columns") or ()] if isinstance(alias, exp.TableAlias) else []
    )


def _renamed(made: Derived | Opaque, node: exp.Expr) -> Derived | Opaque:
    columns = _columns(node)
    if isinstance(made, Derived):
        made.names = [*columns, *made.names[len(columns) :]]
    return made


def _only(nodes: Sequence[exp.Expr]) -> exp.Expr | None:
    return nodes[0].unnest() if len(nodes) == 1 else None


def _values(node: exp.Expr) -> Sequence[exp.Expr]:
    inner = node.unnest()
    return inner.expressions if isinstance(inner, exp.Tuple) else [inner]
