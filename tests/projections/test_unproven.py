"""What a view's joins do not prove is refused, all of it at once, with lines that can be pasted."""

from projections.store import Store

TABLES = """
CREATE TABLE store.invoices (id int PRIMARY KEY, product_id bigint REFERENCES store.products, total int);
CREATE TABLE store."Odd %" (id int PRIMARY KEY);
"""
SEVERAL = """
SELECT p.id, rank() OVER (ORDER BY p.price) AS place, (SELECT max(i.total) FROM store.invoices i) AS most,
    (SELECT count(*) FROM store."Odd %" o) AS odd,
    (SELECT count(*) FROM store.reviews r WHERE r.product_id = p.id) AS n
FROM store.products p"""


def block(message: str) -> str:
    """The lines to paste below an error."""
    return message[message.index("\n\n[[projections") :]


def test_all_that_is_missing_is_named_at_once_and_can_be_pasted(store: Store) -> None:
    store.sql.execute(TABLES.encode())
    store.query(SEVERAL)
    refusal = store.refusal()
    for table in ("store.products", "store.invoices", "store.Odd %"):
        assert f"{table}, and nothing follows it" in refusal
    assert "store.reviews" not in refusal
    assert 'table = "store.\\"Odd %\\""' in refusal
    store.write(after=block(refusal))
    reached = {name: each.all for name, each in store.follows().items()}
    of_all = dict.fromkeys(["store.products", "store.invoices", "store.Odd %"], True)
    assert reached == of_all | {"store.reviews": False}


def test_a_key_that_is_not_the_roots_is_refused(store: Store) -> None:
    """Its documents would never be found again by the root's key."""
    store.query("SELECT r.product_id AS id FROM store.reviews r")
    said = "it is not that of store.products: in the view id is product_id of store.reviews"
    assert f"[projections.product] key: {said}" in store.refusal()
    assert "write id of store.products into the view" in store.refusal()


def test_several_rows_for_one_key_are_refused_unless_an_index_says_that_there_is_one(store: Store) -> None:
    select = "SELECT p.id, r.body FROM store.products p LEFT JOIN store.reviews r ON r.product_id = p.id"
    store.query(select)
    refusal = store.refusal()
    assert "several rows for one key: store.reviews (r) is joined on product_id" in refusal
    store.sql.execute("CREATE UNIQUE INDEX ON store.reviews (product_id)")
    assert [each.key for each in store.follows().values()] == [("product_id",)]


def test_heirs_of_the_root_and_of_a_table_are_followed_as_it_is(store: Store) -> None:
    store.sql.execute("CREATE TABLE store.letters () INHERITS (store.reviews)")
    store.sql.execute("CREATE TABLE store.cards () INHERITS (store.letters)")
    store.sql.execute("CREATE TABLE store.gadgets () INHERITS (store.products)")
    keys = {name: each.key for name, each in store.follows().items() if each.key}
    children = dict.fromkeys(["store.reviews", "store.letters", "store.cards"], ("product_id",))
    assert keys == children | {"store.gadgets": ("id",)}


def test_a_materialized_view_can_only_be_ignored(store: Store) -> None:
    sums = "SELECT product_id, count(*) AS n FROM store.reviews GROUP BY product_id"
    store.sql.execute(f"CREATE MATERIALIZED VIEW store.sums AS {sums}".encode())
    select = (
        "SELECT p.id, (SELECT s.n FROM store.sums s WHERE s.product_id = p.id) AS n FROM store.products p"
    )
    store.query(select)
    refusal = store.refusal()
    assert "the view reads store.sums, a materialized view: its refresh fires no trigger" in refusal
    store.write('root = "store.products"', 'root = "store.products"\nignore = ["store.sums"]')
    assert store.follows() == {}


def test_a_view_that_the_parser_refuses_is_taken_where_everything_is_said(store: Store) -> None:
    path = "XMLTABLE('/a' PASSING x.doc COLUMNS a text PATH 'b')"
    store.sql.execute("CREATE TABLE store.papers (product_id bigint, doc xml)")
    select = f"SELECT p.id, (SELECT max(t.a) FROM store.papers x, {path} t WHERE x.product_id = p.id) AS a"
    store.query(f"{select} FROM store.products p")
    refusal = store.refusal()
    assert "it is not clear that it is that of store.products: its text is not understood" in refusal
    store.write(after=block(refusal))
    refusal = store.refusal()
    assert "store.papers, and nothing follows it" in refusal
    store.write(after=block(refusal).replace("all = true", 'key = "product_id"'))
    assert store.follows()["store.papers"].key == ("product_id",)
