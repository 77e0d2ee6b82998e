"""A view's text, parsed and read into SELECTs with what each reads; views within it by their text."""

import re
from collections.abc import Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from outboxctl.core.projections.view_texts import ViewTexts
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection.analysis.model import (
    AnalysedView,
    Condition,
    Derived,
    Element,
    Membership,
    NotUnderstoodError,
    Opaque,
    Query,
    Source,
    Use,
    With,
    is_aggregate,
    names_of,
)

# The parser refuses a join in parentheses that begins with `unnest`: it is put behind one row of no table.
UNNEST_FIRST = re.compile(r"(\bFROM \(+)(?=unnest\()")
ONE_ROW = r"\1(SELECT 1) outbox_one CROSS JOIN "
# Nor does it know JSON_ARRAY and JSON_ARRAYAGG with these clauses, nor that the latter is an aggregate.
JSON_CLAUSES = re.compile(r"(?: (?:NULL|ABSENT) ON NULL)? RETURNING \w+(?=\))")
SELECTS = (exp.Select, exp.SetOperation)


def read(texts: ViewTexts, view: Relation) -> AnalysedView:
    """Read a view, or a table as the SELECT of its columns. Raises NotUnderstoodError."""
    reader = _Reader(texts)
    if view in texts.views:
        reader.view.top = reader.of_view(view, None)
        return reader.view
    if view in texts.tables:
        columns = [exp.column(name, table=view.name, quoted=True) for name in texts.tables[view].types]
        node = exp.select(*columns).from_(exp.to_table(view.name, db=view.schema))
        reader.view.top = reader.derived(node, None, {})
        return reader.view
    raise NotUnderstoodError(f"nothing is known of {view}")


def parsed(sql: str) -> exp.Expr:
    """The tree of a SELECT. Raises NotUnderstoodError where the parser refuses it."""
    try:
        return sqlglot.parse_one(sql, read="postgres")
    except (SqlglotError, RecursionError) as error:
        behind = JSON_CLAUSES.sub("", UNNEST_FIRST.sub(ONE_ROW, sql))
        if (behind := behind.replace("JSON_ARRAYAGG(", "json_agg(")) != sql:
            return parsed(behind)
        said = brief(str(error).partition("\n")[0], 200)
        raise NotUnderstoodError(f"its text is not understood: {said}") from None


class _Reader:
    def __init__(self, texts: ViewTexts) -> None:
        self._texts = texts
        self.view = AnalysedView(texts, Derived([]))
        self._open: list[exp.Expr] = []  # WITHs that are being read
        self._recursive: set[int] = set()
        self._views: list[Relation] = []  # that are being read

    def of_view(self, view: Relation, beside: Query | None) -> Derived:
        """Read a view, whose columns are its own whatever is around it."""
        self._views.append(view)
        made = self.derived(parsed(self._texts.views[view]), None, {}, beside)
        self._views.pop()
        return made

    def derived(
        self,
        node: exp.Expr,
        outer: Query | None,
        withs: Mapping[str, With],
        beside: Query | None = None,
        within: frozenset[Derived] | None = None,
    ) -> Derived:
        """Read a SELECT in a query, whose columns it may name if that is `outer`, too."""
        made = Derived([])
        inside = within if within is not None else beside.within if beside else frozenset()
        branch = beside.branch if beside else {}
        for number, (select, known) in enumerate(_branches(node, withs, made)):
            query = Query(select, outer, made, inside | {made}, {**branch, made: number}, known)
            made.branches.append(query)
            self.view.queries.append(query)
            self._fill(query)
        made.names = [each.alias_or_name for each in made.branches[0].select.expressions]
        return made

    def _fill(self, query: Query) -> None:
        if from_ := query.select.args.get("from_"):
            self._from(query, from_.this)
        left = frozenset(query.sources)
        for node in query.select.args.get("joins") or ():
            left |= self._join(query, left, node)
        members = self._subqueries(query)
        where = query.select.args.get("where")
        query.conditions += [Condition(test, None) for test in _conjuncts(where.this if where else None)]
        tests = (id(each.test) for each in query.conditions)
        query.memberships = [members[test] for test in tests if test in members]

    def _from(self, query: Query, node: exp.Expr) -> frozenset[str]:
        """Add what a part of FROM reads; returns its aliases."""
        if isinstance(node, exp.Subquery) and isinstance(node.this, (exp.Table, exp.Subquery)):
            aliases = self._from(query, node.this)
            if node.alias:
                query.sources[node.alias] = Opaque()
                aliases |= {node.alias}
        else:
            name = node.alias or node.name
            query.sources[name] = self._source(query, node)
            aliases = frozenset([name])
        for join in node.args.get("joins") or ():
            aliases |= self._join(query, aliases, join)
        return aliases

    def _join(self, query: Query, left: frozenset[str], node: exp.Expr) -> frozenset[str]:
        """Add what is joined with these aliases, and the tests with the side that they decide about."""
        right = self._from(query, node.this)
        tests = _conjuncts(node.args.get("on"))
        for name in (each.name for each in node.args.get("using") or ()):
            tables = self._texts.tables
            named = [alias for alias, each in query.sources.items() if name in names_of(each, tables)]
            sides = [next((each for each in named if each in side), "") for side in (left, right)]
            one, other = (exp.column(name, table=side) for side in sides)
            tests.append(exp.EQ(this=one, expression=other))
        side = node.args.get("side") or ""
        of = {"LEFT": right, "RIGHT": left, "FULL": frozenset[str]()}.get(side)
        query.conditions += [Condition(test, of, side) for test in tests]
        return right

    def _source(self, query: Query, node: exp.Expr) -> Source:
        if isinstance(node, exp.Table):
            return self._named(query, node)
        inner, outer = node, query.outer
        if isinstance(node, exp.Lateral):
            inner, outer = node.this, query
        if isinstance(inner, exp.Subquery):
            return _renamed(self.derived(inner.this, outer, query.withs, query), _columns(node))
        if isinstance(inner, exp.Unnest) and len(inner.expressions) == 1:
            array = inner.expressions[0].unnest()
            if isinstance(array, exp.Column):
                return Element(array, next(iter(_columns(node)), node.alias))
        for each in nested(inner):
            self.derived(each, query, query.withs, query)
        return Opaque()

    def _named(self, query: Query, node: exp.Table) -> Source:
        table = Relation(node.db, node.name)
        if table in self._texts.tables:
            use = Use(table, node.alias_or_name, query, _columns(node), frozenset(self._views))
            self.view.uses.append(use)
            return use
        if table in self._texts.views:
            return _renamed(self.of_view(table, query), _columns(node))
        if not node.db and node.name in query.withs:
            return _renamed(self._with(query, query.withs[node.name], node.name), _columns(node))
        return Opaque()

    def _with(self, query: Query, named: With, name: str) -> Derived | Opaque:
        if any(named.select is each for each in self._open):
            self._recursive.add(id(named.select))
            return Opaque()
        self._open.append(named.select)
        made = self.derived(named.select, None, named.others, query)
        self._open.pop()
        _renamed(made, named.columns)
        if id(named.select) in self._recursive:
            made.cut = f"WITH RECURSIVE {name}"
        return made

    def _subqueries(self, query: Query) -> dict[int, Membership]:
        """Read the SELECTs in expressions; those of `IN` are returned, by the place of that in the tree."""
        found = dict[int, Membership]()
        parts = [
            (name, each)
            for name, value in query.select.args.items()
            if name not in ("from_", "joins", "with_")
            for each in (value if isinstance(value, list) else [value])
            if isinstance(each, exp.Expr)
        ]
        parts += [("on", each.test) for each in query.conditions]
        for name, part in parts:
            for node in nested(part):
                alone = name == "expressions" and not self._combined(node, part)
                within = query.within - {query.home} if alone else query.within
                made = self.derived(node, query, query.withs, query, within)
                test = node.find_ancestor(exp.In)
                if test is not None and any(test.args.get("query") is each for each in (node, node.parent)):
                    value = test.this.unnest()
                    values = value.expressions if isinstance(value, exp.Tuple) else [value]
                    found[id(test)] = Membership(values, made)
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


def _conjuncts(test: exp.Expr | None) -> list[exp.Expr]:
    """The tests that all must be true."""
    inner = test.unnest() if test else None
    if isinstance(inner, exp.And):
        return [*_conjuncts(inner.this), *_conjuncts(inner.expression)]
    return [inner] if inner else []


def nested(node: exp.Expr) -> Iterator[exp.Expr]:
    """The outermost SELECTs in an expression."""
    walked = node.walk(bfs=False, prune=lambda each: isinstance(each, SELECTS))
    return (each for each in walked if isinstance(each, SELECTS))


def _branches(
    node: exp.Expr, withs: Mapping[str, With], made: Derived
) -> Iterator[tuple[exp.Select, Mapping[str, With]]]:
    """The SELECTs that UNION puts together, each with the WITHs that it may name."""
    known = {**withs, **_withs(node, withs)}
    if isinstance(node, exp.Select):
        yield node, known
        return
    if not isinstance(node, (exp.Subquery, exp.Paren, exp.SetOperation)):
        raise NotUnderstoodError(f"not a SELECT: {brief(node.sql('postgres'), 80)}")
    if node.args.get("limit") or node.args.get("offset"):
        made.cut = made.cut or "LIMIT"
    sides = (node.this, node.expression) if isinstance(node, exp.SetOperation) else (node.this,)
    for side in sides:
        yield from _branches(side, known, made)


def _withs(node: exp.Expr, withs: Mapping[str, With]) -> dict[str, With]:
    known: dict[str, With] = {}
    if clause := node.args.get("with_"):
        others = dict(withs)
        for each in clause.expressions:
            known[each.alias] = With(each.this, _columns(each), others)
            if not clause.args.get("recursive"):
                others = {**others, each.alias: known[each.alias]}
        if clause.args.get("recursive"):
            others.update(known)
    return known


def _columns(node: exp.Expr) -> list[str]:
    alias = node.args.get("alias")
    named = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    return [each.name for each in named or ()]


def _renamed(made: Derived | Opaque, columns: Sequence[str]) -> Derived | Opaque:
    if isinstance(made, Derived):
        made.names = [*columns, *made.names[len(columns) :]]
    return made
