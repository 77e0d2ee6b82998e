"""Which views can be a root or be followed, what is made of them, and what is said of the others."""

import re

import pytest

from projections.store import Store
from projections.test_unproven import block

ROOT = 'root = "store.products"'
SCHEMA = """
CREATE MATERIALIZED VIEW store.sums AS SELECT product_id AS id, count(*) AS n FROM store.reviews GROUP BY 1;
CREATE FOREIGN DATA WRAPPER nobody;
CREATE SERVER far FOREIGN DATA WRAPPER nobody;
CREATE FOREIGN TABLE store.rates (id bigint, code text, rate numeric) SERVER far;
CREATE TABLE store.details (product bigint PRIMARY KEY REFERENCES store.products, text text,
    maybe bigint UNIQUE, doc xml);
CREATE TABLE store.parts (region text, id bigint, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE VIEW store.inner_one AS SELECT id AS number, tenant FROM store.products WHERE sold;
"""
P, D, R = "store.products p", "store.details d", "store.reviews r"
ROOTS = {
    f"SELECT p.id, p.tenant FROM {P} JOIN store.categories c ON c.id = p.category_id": "products.id",
    "SELECT number AS id FROM store.inner_one": "products.id",
    f"SELECT d.product AS id FROM {P} LEFT JOIN {D} ON d.product = p.id": "details.product",
    f"SELECT p.id FROM {D} JOIN {P} ON p.id = d.product": "products.id",
    f"SELECT r.product_id AS id FROM {R} JOIN {P} ON p.id = r.product_id": "products.id",
    f"SELECT DISTINCT id FROM {P}": "products.id",
    f"SELECT id FROM {P} WHERE sold UNION SELECT id FROM {P}": "products.id",
    f"WITH x AS (SELECT id AS i FROM {P}) SELECT i AS id FROM x": "products.id",
    f"SELECT p.id, count(r) FROM {P} LEFT JOIN {R} ON r.product_id = p.id GROUP BY p.id": "products.id",
    f"SELECT ((id)) AS id FROM ONLY {P}": "products.id",
}
NAME_IT = 'name the table whose key it is: root = "store.products"'
RECURSIVE = f"WITH RECURSIVE x AS (SELECT id FROM {P} UNION SELECT id + 1 FROM x WHERE id < 9)"
# Of each the words of the refusal, and of what to do.
REFUSED = {
    f"SELECT id + 1 AS id FROM {P}": ("in store.v id is (id + 1): no column of a table", NAME_IT),
    f"SELECT id::bigint::text::bigint AS id FROM {P}": ("no column of a table", NAME_IT),
    f"SELECT id FROM {P} UNION ALL SELECT product FROM {D}": (
        "store.v has rows of store.products and of store.details",
        "declare a projection of each of them",
    ),
    f"SELECT product_id AS id, count(*) FROM {R} GROUP BY 1": (
        "id is product_id of store.reviews, which is not unique there",
        "join the table whose key it is",
    ),
    f"SELECT maybe AS id FROM {D}": ("id is maybe of store.details, where it can be NULL", "root = "),
    "SELECT id FROM store.parts": ("id is id of store.parts, which is not unique there", "root = "),
    "SELECT id FROM store.sums": ("id is id of store.sums, a materialized view: its refresh", "root = "),
    "SELECT id FROM store.rates": ("id is id of store.rates, a foreign table: changes", "root = "),
    f"{RECURSIVE} SELECT id FROM x": ("in store.v id is ", NAME_IT),
    f"SELECT d.product AS id, t.a FROM {D}, XMLTABLE('/a' PASSING d.doc COLUMNS a text PATH 'b') t": (
        "it is not clear whose rows store.v has: its text is not understood",
        'root = "store.details"',
    ),
    f"SELECT tenant FROM {P}": ("key: store.v has no column 'id'", "its columns: tenant"),
}


def view(store: Store, select: str) -> None:
    store.sql.execute(SCHEMA)
    store.sql.execute(f"CREATE VIEW store.v AS {select}".encode())


def said(store: Store) -> str:
    """The refusal; it quotes an expression as the server prints it: before 16 with the table's name."""
    return re.sub(r"\([pr]\.", "(", store.refusal())


@pytest.mark.parametrize("select", ROOTS)
def test_a_view_as_the_root_is_the_table_whose_key_it_has(store: Store, select: str) -> None:
    view(store, select)
    own = {"products.id": "id", "details.product": "product"}[ROOTS[select]]
    store.query(f"SELECT t.{own} AS id FROM store.{ROOTS[select].partition('.')[0]} t")
    store.write(ROOT, 'root = "store.v"')
    found = store.look().projection
    assert f"{found.root.name}.{found.root_key[0].name}" == ROOTS[select]
    assert found.key[0].name == "id"
    if R not in select and own == "id":
        store.write("query =", 'document = "store.v"\n#')
        assert store.look().projection.root == found.root


@pytest.mark.parametrize("select", REFUSED)
def test_a_view_whose_key_is_that_of_no_table_is_refused_with_what_to_write(
    store: Store, select: str
) -> None:
    view(store, select)
    store.write(ROOT, 'root = "store.v"')
    refusal = said(store)
    assert all(each in refusal for each in REFUSED[select]), refusal
    if "root = " in refusal.partition(";")[2]:
        assert "store.toml: [projections.product] root: " in refusal


def follow(store: Store, select: str, lines: str) -> None:
    view(store, select)
    store.query("SELECT p.id, (SELECT count(*) FROM store.v WHERE v.k = p.id) AS n FROM store.products p")
    store.write(after=f'\n[[projections.product.follow]]\ntable = "store.v"\n{lines}\n')


CHILD = f"SELECT r.product_id AS k, r.stars, r.body, d.text FROM {R} LEFT JOIN {D}"
BOTH = f"SELECT product_id AS k FROM {R} UNION ALL SELECT product FROM {D}"
# Of each table: key, the beginning of the query, the columns that count.
FOLLOWS: dict[tuple[str, str], dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]]] = {
    (f"{CHILD} ON d.product = r.product_id", 'key = "k"'): {
        "reviews": (("product_id",), "", ("body", "product_id", "stars")),
        "details": (("product",), "", ("product", "text")),
    },
    (f"{CHILD} ON d.text > r.body", "all = true"): {
        "reviews": ((), "", ("body", "product_id", "stars")),
        "details": ((), "", ("text",)),
    },
    (BOTH, 'key = "k"'): {
        "reviews": (("product_id",), "", ("product_id",)),
        "details": (("product",), "", ("product",)),
    },
}


@pytest.mark.parametrize(("select", "lines"), FOLLOWS)
def test_a_followed_view_is_the_tables_beneath_it(store: Store, select: str, lines: str) -> None:
    follow(store, select, lines)
    found = store.follows()
    wanted = FOLLOWS[select, lines]
    assert {name.removeprefix("store.") for name in found} == {*wanted}
    for name, (key, keys, columns) in wanted.items():
        each = found[f"store.{name}"]
        assert (each.key, each.columns, each.all) == (key, columns, "all" in lines)
        assert each.keys.startswith(keys)
        assert bool(each.keys) == bool(keys)


COMPUTED = f"SELECT product_id + 0 AS k FROM {R}"
NO_TABLE = "in store.v k is (product_id + 0); name the tables that it reads in its place"
NO_FOLLOW = {
    (COMPUTED, 'key = "k"'): f"follow[1].key: {NO_TABLE}",
    (CHILD + " ON true", 'keys = "SELECT :k"'): "follow[1].keys: store.v is a view; name the tables",
    (CHILD + " ON true", 'key = "k"\ncolumns = ["stars"]'): "follow[1].columns: store.v is a view",
    (COMPUTED, 'key = "ke"'): "key: store.v has no column 'ke'; did you mean k?",
    ("SELECT id AS k FROM store.sums", "all = true"): (
        "follow[1]: the view reads store.sums, a materialized view: its refresh fires no trigger; read its"
    ),
    (f"SELECT price AS k FROM {P}", 'key = "k"'): "'k' is pg_catalog.numeric, and the key's 'id'",
}


@pytest.mark.parametrize(("select", "lines"), NO_FOLLOW)
def test_a_view_that_cannot_be_followed_as_is_said_is_refused(store: Store, select: str, lines: str) -> None:
    follow(store, select, lines)
    assert NO_FOLLOW[select, lines] in said(store)


def test_what_a_followed_view_does_not_prove_can_be_pasted(store: Store) -> None:
    follow(store, f"{CHILD} ON d.text > r.body", 'key = "k"')
    refusal = store.refusal()
    assert (
        "store.details, and nothing follows it: no equality of columns joins it with store.reviews" in refusal
    )
    store.write(after=block(refusal))
    every = {name: each.all for name, each in store.follows().items()}
    assert every == {"store.reviews": False, "store.details": True}


def test_an_ignored_view_ignores_its_tables_where_it_reads_them_and_nowhere_else(store: Store) -> None:
    other = "store.categories c JOIN store.reviews o ON o.stars > c.id"
    view(store, f"SELECT r.product_id, c.name FROM {R} JOIN ({other}) ON c.id > r.stars")
    store.query(
        "SELECT p.id, (SELECT min(name) FROM store.v WHERE product_id = p.id) AS n,"
        " ARRAY(SELECT body FROM store.reviews r WHERE r.product_id = p.id) AS texts,"
        " (SELECT s.n FROM store.sums s WHERE s.id = p.id) AS m"
        " FROM store.products p"
    )
    store.write(ROOT, f'{ROOT}\nignore = ["store.v", "store.sums"]')
    found = store.look().projection
    assert [(str(each.table), each.key) for each in found.follow] == [("store.reviews", ("product_id",))]
    assert sorted(map(str, found.ignore)) == ["store.categories", "store.sums"]


@pytest.mark.parametrize("kind", ["store.sums", "store.rates"])
def test_what_has_no_triggers_is_refused_with_lines_that_can_be_pasted(store: Store, kind: str) -> None:
    view(store, f"SELECT s.id, s FROM {kind} s")
    store.query("SELECT p.id, (SELECT count(*) FROM store.v WHERE v.id = p.id) FROM store.products p")
    refusal = store.refusal()
    assert f"the view reads {kind}, a " in refusal
    lines = refusal.partition("\n\n")[2]
    store.sql.execute("CREATE TABLE store.refreshed (at timestamptz)")
    ignore, _, after = lines.partition("\n")
    store.write(ROOT, f"{ROOT}\n{ignore}")
    store.write(after=after)
    assert {name: each.all for name, each in store.follows().items()} == (
        {"store.refreshed": True} if kind == "store.sums" else {}
    )
