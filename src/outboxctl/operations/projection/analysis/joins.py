"""Which conditions hold for which rows of a FROM with inner and outer joins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from outboxctl.operations.projection.analysis.model import Condition

COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.Operator)


@dataclass(eq=False)
class Join:
    """What is joined by the aliases of both sides, and the tests that decide which rows match."""

    left: frozenset[str]
    right: frozenset[str]
    side: str  # LEFT, RIGHT, FULL, or empty for an inner one
    tests: Sequence[exp.Expr]

    @property
    def of(self) -> frozenset[str] | None:
        """The aliases whose rows are dropped where the tests fail; None: no row is left then."""
        return {"LEFT": self.right, "RIGHT": self.left, "FULL": frozenset()}.get(self.side)


def conjuncts(test: exp.Expr) -> list[exp.Expr]:
    """The tests that all must be true."""
    inner = test.unnest()
    if isinstance(inner, exp.And):
        return [*conjuncts(inner.this), *conjuncts(inner.expression)]
    return [inner]


def placed(where: Sequence[exp.Expr], joins: Sequence[Join]) -> Iterator[Condition]:
    """All tests of a SELECT with the rows that they decide about.

    An outer join of whose rows a test that is made later needs a value is an inner one in effect.
    """
    while any(_reduced(join, where, joins) for join in joins):
        pass
    yield from (Condition(test, None) for test in where)
    yield from (Condition(test, join.of) for join in joins for test in join.tests)


def _reduced(join: Join, where: Sequence[exp.Expr], joins: Sequence[Join]) -> bool:
    before, needed = join.side, _needed(join, where, joins)
    if needed & join.right and join.side in ("LEFT", "FULL"):
        join.side = "RIGHT" if join.side == "FULL" else ""
    if needed & join.left and join.side in ("RIGHT", "FULL"):
        join.side = "LEFT" if join.side == "FULL" else ""
    return join.side != before


def _needed(join: Join, where: Sequence[exp.Expr], joins: Sequence[Join]) -> frozenset[str]:
    """Aliases that must have a row, not NULLs, for the rows of this join to matter."""
    found = {alias for test in where for alias in _strict(test)}
    for other in joins:
        rows = other.of if other.side else other.left | other.right
        if other is not join and rows is not None and join.left | join.right <= rows:
            found |= {alias for test in other.tests for alias in _strict(test)}
    return frozenset(found)


def _strict(test: exp.Expr) -> Iterator[str]:
    """Aliases of which a NULL makes the test fail."""
    inner = test.this.unnest() if isinstance(test, exp.Not) else test
    if isinstance(test, exp.Not) and isinstance(inner, exp.Is):
        inner = inner.this.unnest()
    sides = [inner.this, inner.expression] if isinstance(inner, COMPARED) else [inner]
    for side in sides:
        value = side.unnest()
        while isinstance(value, exp.Cast):
            value = value.this.unnest()
        if isinstance(value, exp.Column) and value.table:
            yield value.table
