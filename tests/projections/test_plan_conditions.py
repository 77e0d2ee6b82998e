"""Conditions in a plan are taken apart as PostgreSQL writes them, whatever names and texts are in them."""

import pytest

from outboxctl.core.projections.plan_conditions import aliases, equalities, plain_column, renamed, varies

pytestmark = pytest.mark.no_servers


@pytest.mark.parametrize(
    ("condition", "pairs"),
    [
        ("(p.rental_id = r.id)", [("p.rental_id", "r.id")]),
        ("((t.above = $1) AND ((t.id)::text = k.k0))", [("t.above", "$1"), ("(t.id)::text", "k.k0")]),
        ("((a.x = 1) OR (a.y = b.y))", []),
        ("(NOT (a.x = b.x))", []),
        ("((a.x >= b.x) AND (a.n = ' AND (b.z = 1)'::text))", [("a.n", "' AND (b.z = 1)'::text")]),
        ('("O d"."a = b" = lower(x.y))', [('"O d"."a = b"', "lower(x.y)")]),
        (
            "(CASE WHEN (a.x = 1) THEN a.y ELSE a.z END = b.y)",
            [("CASE WHEN (a.x = 1) THEN a.y ELSE a.z END", "b.y")],
        ),
        ("a.active", []),
    ],
)
def test_what_is_equal(condition: str, pairs: list[tuple[str, str]]) -> None:
    assert [*equalities(condition)] == pairs


def test_whose_columns_a_term_has() -> None:
    known = {"a", "O d", "lower"}
    assert aliases("lower(a.x || 'b.y O d.z')", known) == {"a"}
    assert aliases('my.lower("O d".x, c.y)', known) == {"O d"}


def test_a_term_as_an_index_has_it() -> None:
    assert renamed("lower((a_1.x)::text || 'a_1.x')", "a_1", "") == "lower((x)::text || 'a_1.x')"
    assert renamed('"O d".x', "O d", "p") == "p.x"
    assert (plain_column('a."X y"'), plain_column("lower(a.x)")) == ('"X y"', None)


@pytest.mark.parametrize(
    ("term", "so"), [("$1", True), ("a.x", True), ("'a.x $1'::text", False), ("5", False)]
)
def test_what_is_the_same_for_every_document(term: str, so: bool) -> None:
    assert varies(term) is so
