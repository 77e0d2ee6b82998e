"""What a view's joins do not prove is refused, all of it at once, with lines that can be pasted."""

import pytest

from projections.store import WHO, Store

TABLES = """
CREATE TABLE store.invoices (id int PRIMARY KEY, product_id bigint REFERENCES store.products, total int);
CREATE TABLE store."Odd %" (id int PRIMARY KEY);
"""
SEVERAL = '''query = """
SELECT p.id, rank() OVER (ORDER BY p.price) AS place, (SELECT max(i.total) FROM store.invoices i) AS most,
    (SELECT count(*) FROM store."Odd %" o) AS odd,
    (SELECT count(*) FROM store.reviews r WHERE r.product_id = p.id) AS n
FROM store.products p"""'''
REFUSED = {
    "a rank": ("SELECT p.id, rank() OVER (ORDER BY p.price) AS n FROM store.products p", "rank() OVER"),
    "DISTINCT ON": ("SELECT DISTINCT ON (p.tenant) p.id FROM store.products p", "DISTINCT ON"),
    "LIMIT": ("SELECT p.id FROM store.products p ORDER BY p.price LIMIT 10", "LIMIT"),
    "a subquery of its own": (
        "SELECT p.id, (SELECT max(total) FROM store.invoices) AS n FROM store.products p",
        "store.invoices, and nothing follows it",
    ),
    "all rows of the root": (
        "SELECT p.id, (SELECT count(*) FROM store.products) AS n FROM store.products p",
        "store.products, and nothing follows it",
    ),
}


def block(message: str) -> str:
    """The lines to paste below an error."""
    return message[message.index("\n\n[[projections") :]


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_view_whose_documents_depend_on_others_is_refused(store: Store, case: str, command: str) -> None:
    store.sql.execute(TABLES.encode())
    select, said = REFUSED[case]
    store.write('document = "store.documents"', f"query = '''{select}'''")
    before = store.facts()
    done = store(command, *(WHO if command == "apply" else ()))
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr
    assert store.facts() == before
    store.write(after=block(done.stderr))
    (follow,) = store.plan()["follow"]
    assert follow["all"] is True


def test_all_that_is_missing_is_named_at_once_and_can_be_pasted(store: Store) -> None:
    store.sql.execute(TABLES.encode())
    store.write('document = "store.documents"', SEVERAL)
    done = store("apply", *WHO)
    assert done.returncode == 2
    for table in ("store.products", "store.invoices", "store.Odd %"):
        assert f"{table}, and nothing follows it" in done.stderr
    assert "store.reviews" not in done.stderr
    assert 'table = "store.\\"Odd %\\""' in done.stderr
    store.write(after=block(done.stderr))
    followed = {each["table"]: each["all"] for each in store.plan()["follow"]}
    assert followed == {
        "store.products": True,
        "store.invoices": True,
        "store.Odd %": True,
        "store.reviews": False,
    }


def test_what_is_ignored_or_followed_by_a_query_is_not_asked_for(store: Store) -> None:
    store.sql.execute(TABLES.encode())
    store.write('document = "store.documents"', SEVERAL)
    store.write(after='ignore = ["store.products", \'store."Odd %"\']\n')
    keys = "keys = 'SELECT id FROM store.products WHERE :total > 0'\n"
    store.write(after=f'[[projections.product.follow]]\ntable = "store.invoices"\n{keys}')
    assert [each["table"] for each in store.plan()["follow"]] == ["store.invoices", "store.reviews"]


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT p.legacy AS id, p.title FROM store.products p", "id is legacy of store.products"),
        ("SELECT r.product_id AS id FROM store.reviews r", "id is product_id of store.reviews"),
        ("SELECT coalesce(p.id, 0) AS id FROM store.products p", "id is coalesce(id, "),
    ],
)
def test_a_key_that_is_not_the_roots_is_refused(store: Store, select: str, said: str) -> None:
    """Its documents would never be found again by the root's key."""
    store.sql.execute("ALTER TABLE store.products ADD legacy bigint")
    store.write('document = "store.documents"', f"query = '''{select}'''")
    done = store("plan")
    assert done.returncode == 2
    assert f"[projections.product] key: it is not that of store.products: in the view {said}" in done.stderr
    assert "write id of store.products into the view" in done.stderr


def test_several_rows_for_one_key_are_refused_unless_an_index_says_that_there_is_one(store: Store) -> None:
    select = "SELECT p.id, r.body FROM store.products p LEFT JOIN store.reviews r ON r.product_id = p.id"
    store.write('document = "store.documents"', f"query = '''{select}'''")
    done = store("plan")
    assert done.returncode == 2
    assert "several rows for one key: store.reviews (r) is joined on product_id" in done.stderr
    store.sql.execute("CREATE UNIQUE INDEX ON store.reviews (product_id)")
    assert [each["key"] for each in store.plan()["follow"]] == [["product_id"]]


def test_heirs_of_the_root_and_of_a_table_are_followed_as_it_is(store: Store) -> None:
    store.sql.execute("CREATE TABLE store.letters () INHERITS (store.reviews)")
    store.sql.execute("CREATE TABLE store.cards () INHERITS (store.letters)")
    store.sql.execute("CREATE TABLE store.gadgets () INHERITS (store.products)")
    keys = {each["table"]: each["key"] for each in store.plan()["follow"] if each["key"]}
    assert keys == {
        "store.reviews": ["product_id"],
        "store.letters": ["product_id"],
        "store.cards": ["product_id"],
        "store.gadgets": ["id"],
    }


def test_a_materialized_view_can_only_be_ignored(store: Store) -> None:
    sums = "SELECT product_id, count(*) AS n FROM store.reviews GROUP BY product_id"
    store.sql.execute(f"CREATE MATERIALIZED VIEW store.sums AS {sums}".encode())
    select = (
        "SELECT p.id, (SELECT s.n FROM store.sums s WHERE s.product_id = p.id) AS n FROM store.products p"
    )
    store.write('document = "store.documents"', f"query = '''{select}'''")
    done = store("plan")
    assert done.returncode == 2
    assert "the view reads store.sums, a materialized view: its refresh fires no trigger" in done.stderr
    store.write('root = "store.products"', 'root = "store.products"\nignore = ["store.sums"]')
    assert store.plan()["follow"] == []


def test_a_view_that_the_parser_refuses_is_taken_where_everything_is_said(store: Store) -> None:
    path = "XMLTABLE('/a' PASSING x.doc COLUMNS a text PATH 'b')"
    store.sql.execute("CREATE TABLE store.papers (product_id bigint, doc xml)")
    select = f"SELECT p.id, (SELECT max(t.a) FROM store.papers x, {path} t WHERE x.product_id = p.id) AS a"
    store.write('document = "store.documents"', f'query = """{select} FROM store.products p"""')
    done = store("plan")
    assert done.returncode == 2
    assert "it is not clear that it is that of store.products: its text is not understood" in done.stderr
    store.write(after=block(done.stderr))
    done = store("plan")
    assert done.returncode == 2
    assert "store.papers, and nothing follows it" in done.stderr
    store.write(after=block(done.stderr).replace("all = true", 'key = "product_id"'))
    assert [(each["table"], each["key"]) for each in store.plan()["follow"]] == [
        ("store.papers", ["product_id"])
    ]
