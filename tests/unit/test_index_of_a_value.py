"""What a value may be that is put into the name of an index, and which names could be one index."""

import json

import pytest

from outboxctl.core.projections.in_force import OF_JSON
from outboxctl.domain.index_names import may_meet
from outboxctl.domain.projection import KeyColumn, Projection, Relation

SHOP = Relation("shop", "products")
PRODUCT = Projection(
    "product", SHOP, (KeyColumn("id", "pg_catalog.int8"),), SHOP, "products-{country}", column="country"
)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "../x",
        "*",
        "A B",
        "a b",
        "DE",
        "d" * 300,
        "a/b",
        "a,b",
        "a#b",
        'a"b',
        "<a",
        "a:b",
        "a\nb",
        "{x}",
        "\udcff",
        "000001",
        "de-000001",
        "İ",
    ],
)
def test_a_value_that_makes_no_name_is_shown_with_its_column(value: str | None) -> None:
    with pytest.raises(ValueError, match="country is ") as caught:
        PRODUCT.index_of(value)
    shown = "NULL" if value is None else ascii(value[:100])
    assert shown in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", ["de", "schweiz", "ß", "🥖", "1", "a.b", "..", "-", "de-1"])
def test_a_part_is_a_projection_of_one_index_and_of_one_value(value: str) -> None:
    part = PRODUCT.of(value)
    assert (part.index, part.value, part.parted, part.everywhere) == (
        f"products-{value}",
        value,
        False,
        f"products-{value}",
    )
    assert (PRODUCT.parted, PRODUCT.everywhere, part.chosen_by) == (True, "products-*", f"product:{value}")


def test_a_definition_keeps_the_column_and_no_value() -> None:
    kept = json.dumps(PRODUCT.of("de").to_json())
    assert OF_JSON.validate_json(kept).value == ""
    assert OF_JSON.validate_json(json.dumps(PRODUCT.to_json())) == PRODUCT


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("products-{country}", "products-de", True),
        ("products-{country}", "products-de-000001", True),
        ("products-{country}-x", "products-de-x-000001", True),
        ("products-{country}-x", "products-de", False),
        ("products-{country}", "products", False),
        ("products-{country}", "products-{region}", True),
        ("products-{country}", "products-old-{region}", True),
        ("products-{country}-a", "products-{country}-b", False),
        ("products-{country}", "articles-{country}", False),
        ("products", "products", True),
        ("products", "products-000001", False),
    ],
)
def test_names_that_could_be_one_index(one: str, other: str, meet: bool) -> None:
    assert may_meet(one, other) is meet
    assert may_meet(other, one) is meet
