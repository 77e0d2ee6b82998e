"""A declaration file that is wrong says where and what, and nothing is guessed."""

from pathlib import Path

import pytest

from outboxctl.domain.errors import UsageError
from outboxctl.operations.projection.declaration import Declaration, read

pytestmark = pytest.mark.no_servers

GOOD = """
[projections.product]
root = "shop.products"
key = "id"
document = "shop.product_documents"
index = "products"
"""
FOLLOW = (
    GOOD
    + """
[[projections.product.follow]]
table = "shop.reviews"
key = "product_id"
"""
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.toml"


def declared(file: Path, text: str) -> list[Declaration]:
    file.write_text(text, encoding="utf-8")
    return read(file)


def test_everything_that_a_declaration_can_say(file: Path) -> None:
    (file.parent / "product.sql").write_text("SELECT id FROM shop.products ;\n", encoding="utf-8")
    (file.parent / "product.json").write_text('{"mappings": {"properties": {}}}', encoding="utf-8")
    (product,) = declared(
        file,
        """
        [projections.product]
        root = "shop.products"
        key = ["tenant", "id"]
        query = "product.sql"
        index = "products"
        mapping = "product.json"
        routing = "tenant"
        pipeline = "embed"
        ignore = ["shop.currencies"]
        [[projections.product.follow]]
        table = "shop.reviews"
        key = ["tenant", "product_id"]
        columns = ["stars", "body"]
        [[projections.product.follow]]
        table = "shop.categories"
        keys = "SELECT tenant, product_id FROM shop.links WHERE category_id = :id"
        """,
    )
    assert (product.name, product.root, product.key) == ("product", "shop.products", ("tenant", "id"))
    assert (product.document, product.query) == ("", "SELECT id FROM shop.products")
    assert product.mapping == {"mappings": {"properties": {}}}
    assert (product.routing, product.pipeline, product.ignore) == ("tenant", "embed", ("shop.currencies",))
    reviews, categories = product.follow
    assert (reviews.key, reviews.columns, reviews.keys) == (("tenant", "product_id"), ("stars", "body"), "")
    assert (categories.key, categories.columns) == ((), ())
    assert categories.keys.endswith("= :id")


def test_what_begins_as_sql_or_json_is_no_name_of_a_file(file: Path) -> None:
    text = GOOD.replace('document = "shop.product_documents"', 'query = "select id FROM shop.products"')
    text += "mapping = '{\"settings\": {}}'\n"
    product = declared(file, text)[0]
    assert (product.query, product.mapping) == ("select id FROM shop.products", {"settings": {}})


def test_a_query_of_several_lines_is_the_sql_itself(file: Path) -> None:
    text = GOOD.replace(
        'document = "shop.product_documents"', 'query = """\nSELECT id\nFROM shop.products;\n"""'
    )
    assert declared(file, text)[0].query == "SELECT id\nFROM shop.products"


def replaced(old: str, new: str, text: str = GOOD) -> str:
    assert old in text
    return text.replace(old, new)


BAD = {
    "another top": (GOOD + "[projection.x]\n", "projection: unknown key; did you mean projections?"),
    "unknown key": (GOOD + 'rooot = "x"', "[projections.product] rooot: unknown key; did you mean root?"),
    "unknown key of follow": (
        FOLLOW + 'colums = ["x"]',
        "[projections.product] follow[1].colums: unknown key; did you mean columns?",
    ),
    "name": (replaced("product]", '"Pro duct"]'), "'Pro duct' cannot be a projection's name"),
    "built-in": (replaced("product]", "search_index_to_elastic]"), "is the built-in one"),
    "no root": (replaced('root = "shop.products"\n', ""), "[projections.product]: `root` is missing"),
    "no key": (replaced('key = "id"\n', ""), "[projections.product]: `key` is missing"),
    "control": (replaced('"shop.products"', '"a\\u001bb"'), "root: it holds control characters"),
    "neither": (replaced('document = "shop.product_documents"\n', ""), "`document` or `query` is missing"),
    "both": (GOOD + 'query = "x.sql"', "both `document` and `query` are there"),
    "no file": (
        replaced('document = "shop.product_documents"', 'query = "gone.sql"'),
        "[projections.product] query: cannot read",
    ),
    "capital index": (replaced('"products"', '"Products"'), "index: 'Products' cannot be an index's name"),
    "two of one index": (
        GOOD + replaced("product]", "other]"),
        "[projections.other] index: products is the index of product already",
    ),
    "follow without key": (
        replaced('key = "product_id"', "", FOLLOW),
        "[projections.product] follow[1]: one of `key`, `keys` and `all = true` must be there",
    ),
    "follow with both": (
        FOLLOW + 'keys = "SELECT 1"',
        "follow[1]: one of `key`, `keys` and `all = true` must be there",
    ),
    "another number of columns": (
        replaced('"product_id"', '["a", "b"]', FOLLOW),
        "follow[1].key: it has 2 columns, and the key of the projection has 1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_and_where(case: str, file: Path) -> None:
    text, said = BAD[case]
    with pytest.raises(UsageError) as caught:
        declared(file, text)
    message = f"{caught.value}; {caught.value.hint}"
    assert "shop.toml" in message
    assert said in message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no object of objects"),
        ('{"mapings": {}}', "mapping.mapings: unknown key; did you mean mappings?"),
        ('{"mappings": {"properties": {"a": 1}}}', "mapping.mappings.properties: they must be"),
        (
            '{"mappings": {"properties": {"a": {"properties": [1]}}}}',
            "mapping.mappings.properties.a.properties: they must",
        ),
        ('{"mappings": {"x": NaN}}', "is not JSON"),
        ('{"mappings": {"x": "\\u0000"}}', "holds a NUL"),
    ],
)
def test_a_mapping_file_that_is_wrong(file: Path, body: str, said: str) -> None:
    (file.parent / "m.json").write_text(body, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        declared(file, GOOD + 'mapping = "m.json"')
    assert said in f"{caught.value}; {caught.value.hint}"


def test_a_file_that_is_no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not UTF-8, at byte 0"):
        read(file)
    with pytest.raises(UsageError, match="cannot read"):
        read(file.parent)
