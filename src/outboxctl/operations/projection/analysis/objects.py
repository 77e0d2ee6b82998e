"""What is in the JSON that a view makes: the names of its fields, and a SELECT for the type of each value.

A value's type is PostgreSQL's to say: its expression is put into a SELECT of its own, beside the same FROM.
Lists are left out, as in a mapping: a field of a list is one of its elements.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from sqlglot import exp

from outboxctl.operations.projection.analysis.lineage import Lineage, own_parts
from outboxctl.operations.projection.analysis.model import (
    AnalysedView,
    Derived,
    Query,
    Use,
    is_aggregate,
    names_of,
)

JSON = (exp.DataType.Type.JSON, exp.DataType.Type.JSONB)
EMPTY = ("[]", "{}", "null")  # constants that say nothing of what is in other rows
PLACE = "outbox_value_is_put_here"
OBJECTS = ("json_build_object", "jsonb_build_object")
LISTS = ("json_build_array", "jsonb_build_array")
# Their first argument is the value, or an element of it.
OF_ONE = {
    *("to_json", "to_jsonb", "row_to_json", "array_to_json", "json_strip_nulls", "jsonb_strip_nulls"),
    *("json_agg", "jsonb_agg", "json_agg_strict", "jsonb_agg_strict"),
}
# Functions that the parser knows by another name.
NAMES: dict[type[exp.Expr], str] = {
    exp.JSONArrayAgg: "json_agg",
    exp.JSONObjectAgg: "json_object_agg",
    exp.JSONBObjectAgg: "jsonb_object_agg",
}
BY_KEY = ("json_object_agg", "jsonb_object_agg", "json_object", "jsonb_object")
UNNAMED = "its keys are values"
GROUPED = ("group", "having")
ROWS = ("order", "distinct", "limit", "offset", "fetch")  # they change no type, and may name what goes


@dataclass(frozen=True)
class Made:
    """A value: fields of an object, SELECTs of one value whose type it has, and why not all is known.

    Of a list its elements. `json`: it is made by a function, so PostgreSQL knows no more of it than "json".
    Values that stand for each other (UNION, CASE) are put together.
    """

    fields: Mapping[str, "Made"] = field(default_factory=dict)
    values: frozenset[str] = frozenset()
    unknown: str = ""
    json: bool = False

    def __or__(self, other: "Made") -> "Made":
        if self == other:
            return self
        both = {
            name: self.fields.get(name, NOTHING) | other.fields.get(name, NOTHING)
            for name in {**self.fields, **other.fields}
        }
        return self._with(other, both)

    def beneath(self, other: "Made") -> "Made":
        """As `||` does it: fields of `other` take the place of those of the same name."""
        return self._with(other, {**self.fields, **other.fields})

    def _with(self, other: "Made", fields: Mapping[str, "Made"]) -> "Made":
        values, unknown = self.values | other.values, self.unknown or other.unknown
        return Made(fields, values, unknown, self.json or other.json)


NOTHING = Made()


class Objects:
    """The JSON in the columns of a view."""

    def __init__(self, view: AnalysedView) -> None:
        self._view, self._lineage = view, Lineage(view.texts.tables)
        self._queries = {id(each.select): each for each in view.queries}
        self._outputs: dict[tuple[int, str], Made] = {}
        self._frames: dict[tuple[int, bool], str] = {}

    def column(self, name: str) -> Made:
        """What is in a column of the view."""
        return self._output(self._view.top, name)

    def _output(self, derived: Derived, name: str) -> Made:
        place = id(derived), name
        if place not in self._outputs:
            index = [*derived.names].index(name) if name in derived.names else -1
            selects = [(each, each.select.expressions) for each in derived.branches]
            known = all(0 <= index < len(outputs) for _, outputs in selects)
            found = (self._made(query, outputs[index]) for query, outputs in selects if known)
            self._outputs[place] = _together(found)
        return self._outputs[place]

    def _made(self, query: Query, node: exp.Expr) -> Made:
        inner = node.unalias().unnest()
        if isinstance(inner, (exp.Window, exp.Filter, exp.Order)):
            return self._made(query, inner.this)
        if isinstance(inner, exp.Column):
            return self._column(query, inner)
        if isinstance(inner, exp.Cast) and inner.this.is_star and inner.to.name == "record":
            return self._row(query, inner.this.table)  # so PostgreSQL writes a row that is a column
        found = self._json(query, inner) or self._chosen(query, inner)
        return self._value(query, inner) if found is None else found

    def _json(self, query: Query, node: exp.Expr) -> Made | None:
        """What a function of JSON makes; None of any other expression."""
        name, given = _name(node), _arguments(node)
        if isinstance(node, exp.JSONObject):
            return self._object(query, [(each.this, each.expression) for each in node.expressions])
        if name in OBJECTS and not node.find(exp.Variadic):
            return self._object(query, [*zip(given[::2], given[1::2], strict=False)])
        if name in BY_KEY or name in OBJECTS:
            return Made(unknown=UNNAMED, json=True)
        if name in OF_ONE or name in LISTS:
            found = self._all(query, given if name in LISTS else given[:1])
            return replace(found, json=True)
        return None

    def _chosen(self, query: Query, node: exp.Expr) -> Made | None:
        """What is one of several expressions, where one of them is made by a function of JSON."""
        found = NOTHING
        if _nothing(node):
            return found
        if isinstance(node, exp.DPipe):
            one, other = self._made(query, node.this), self._made(query, node.expression)
            objects = not (one.values or other.values or other.unknown)
            found = one.beneath(other) if objects else NOTHING
        elif isinstance(node, (exp.Select, exp.SetOperation)):
            queries = [self._queries[id(each)] for each in _selects(node) if id(each) in self._queries]
            found = _together(self._made(each, each.select.expressions[0]) for each in queries)
        elif isinstance(node, exp.Case):
            ways = [*(each.args["true"] for each in node.args["ifs"]), node.args.get("default")]
            found = self._all(query, filter(None, ways))
        elif isinstance(node, exp.Cast) and node.to.this in JSON:
            found = self._made(query, node.this)
        elif isinstance(node, (exp.Coalesce, exp.Array, exp.ArrayAgg)):
            found = self._all(query, _arguments(node))
        return found if found.json else None

    def _all(self, query: Query, nodes: Iterable[exp.Expr]) -> Made:
        return _together(self._made(query, each) for each in nodes)

    def _object(self, query: Query, pairs: Iterable[tuple[exp.Expr, exp.Expr]]) -> Made:
        fields, unknown = dict[str, Made](), ""
        for key, value in pairs:
            constant = key.this if isinstance(key, exp.Cast) else key
            if not isinstance(constant, exp.Literal):
                unknown = UNNAMED
            else:
                fields[constant.name] = self._made(query, value)
        return Made(fields, unknown=unknown, json=True)

    def _column(self, query: Query, node: exp.Column) -> Made:
        if node.is_star:
            return self._row(query, node.table)
        place = self._lineage.place(query, node)
        source = place.level.sources[place.alias] if place else None
        found = self._output(source, node.name) if isinstance(source, Derived) else NOTHING
        return found if found.json else self._value(query, node)

    def _row(self, query: Query, alias: str) -> Made:
        """A row of a source as a whole."""
        source = next((each.sources[alias] for each in query.levels() if alias in each.sources), None)
        if not isinstance(source, (Use, Derived)):
            return Made(unknown=f"the columns of {alias} are not known", json=True)
        names = names_of(source, self._view.texts.tables)
        columns = (exp.column(name, table=alias, quoted=True) for name in names)
        return self._object(query, [(exp.Literal.string(each.name), each) for each in columns])

    def _value(self, query: Query, node: exp.Expr) -> Made:
        """A SELECT of it, without GROUP BY unless it is an aggregate itself: its type is the same."""
        aggregates = self._view.texts.aggregates
        grouped = any(is_aggregate(each, aggregates) for each in own_parts(node))
        return Made(values=frozenset([self._frame(query, grouped=grouped).replace(PLACE, f"({_sql(node)})")]))

    def _frame(self, query: Query, *, grouped: bool) -> str:
        place = id(query.select), grouped
        if place not in self._frames:
            left_out = ("expressions", "with_", *ROWS, *(() if grouped else GROUPED))
            parts = {name: _copied(part) for name, part in query.select.args.items() if name not in left_out}
            select = exp.Select(expressions=[exp.column(PLACE)], with_=_withs(query.select), **parts)
            around = self._outer(query)
            outer = self._frame(around, grouped=False) if around else PLACE
            self._frames[place] = outer.replace(PLACE, f"({_sql(select)})")
        return self._frames[place]

    def _outer(self, query: Query) -> Query | None:
        """The query whose columns this one may name; a WITH those that its SELECT may."""
        named = None if query.outer else query.select.find_ancestor(exp.CTE)
        if named is None or named.parent is None or named.parent.parent is None:
            return query.outer
        around = self._queries.get(id(next(_selects(named.parent.parent))))
        return self._outer(around) if around else None


def _together(several: Iterable[Made]) -> Made:
    return reduce(Made.__or__, several, NOTHING)


def _selects(node: exp.Expr) -> Iterator[exp.Expr]:
    """The SELECTs that UNION puts together."""
    if isinstance(node, exp.SetOperation):
        yield from (*_selects(node.this), *_selects(node.expression))
    else:
        yield node.unnest()


def _nothing(node: exp.Expr) -> bool:
    """Whether it is a constant without content: NULL, or an empty list or object."""
    inner = node.this.unnest() if isinstance(node, exp.Cast) and node.to.this in JSON else node
    return isinstance(inner, exp.Null) or (inner is not node and inner.is_string and inner.name in EMPTY)


def _name(node: exp.Expr) -> str:
    return node.name.lower() if isinstance(node, exp.Anonymous) else NAMES.get(type(node), "")


def _arguments(node: exp.Expr) -> Sequence[exp.Expr]:
    """The arguments of a call, without the DISTINCT and ORDER BY of an aggregate."""
    first = [node.this] if isinstance(node.this, exp.Expr) else []
    given = [each.this if isinstance(each, exp.Order) else each for each in (*first, *node.expressions)]
    return [
        part for each in given for part in (each.expressions if isinstance(each, exp.Distinct) else [each])
    ]


def _withs(select: exp.Select) -> exp.With | None:
    """All WITHs that the SELECT may name, in one."""
    found, recursive = dict[str, exp.Expr](), False
    node: exp.Expr | None = select
    while node is not None:
        if clause := node.args.get("with_"):
            recursive |= bool(clause.args.get("recursive"))
            found = {each.alias: each for each in clause.expressions} | found
        node = node.parent
    return (
        exp.With(expressions=[each.copy() for each in found.values()], recursive=recursive) if found else None
    )


def _copied(part: Any) -> Any:
    if isinstance(part, list):
        return [_copied(each) for each in part]
    return part.copy() if isinstance(part, exp.Expr) else part


def _sql(node: exp.Expr) -> str:
    return node.sql("postgres", normalize_functions=False)
