"""What is no table and is named as the root, as followed or as ignored: refused, with lines to paste."""

import json

import pytest
from elasticsearch import Elasticsearch

from projections.store import WHO, Store
from shop import documents, held

# As of a former version whose root was a view with the key's column by another name.
FORMER = """UPDATE outbox_projections SET applied_at = now(),
    definition = jsonb_set(definition, '{key,0,of}', '"Odd \\"%Name"')"""
WAITING = "SELECT DISTINCT status, error_reason, attempts FROM search_outbox_events WHERE status <> 'done'"
ROOT = 'root = "store.products"'
SCHEMA = """
CREATE MATERIALIZED VIEW store.sums AS SELECT product_id AS id, count(*) AS n FROM store.reviews GROUP BY 1;
CREATE FOREIGN DATA WRAPPER nobody;
CREATE SERVER far FOREIGN DATA WRAPPER nobody;
CREATE FOREIGN TABLE store.rates (id bigint, code text, rate numeric) SERVER far;
"""
INNER = """CREATE VIEW store.rated AS SELECT p.id, r.product_id, r.stars, c.name
FROM store.products p JOIN store.reviews r ON r.product_id = p.id
LEFT JOIN store.categories c ON c.id = p.category_id"""
RATED = """SELECT p.id, (SELECT avg(v.stars) FROM store.rated v WHERE v.product_id = p.id) AS n
FROM store.products p"""
FOLLOW = '\n[[projections.product.follow]]\ntable = "store.{}"\n{}\n'
# Of a followed view the line beneath `table`, the tables that the lines to paste follow, and how.
FOLLOWED = {
    'key = ["product_id"]': (["reviews"], 'key = ["product_id"]'),
    'key = "nothing"': (["categories", "products", "reviews"], "all = true"),
    "all = true": (["categories", "products", "reviews"], "all = true"),
}


def view(store: Store, select: str) -> None:
    store.sql.execute(SCHEMA)
    store.sql.execute(f"CREATE VIEW store.v AS {select}".encode())


def test_views_within_the_documents_query_are_read_through(store: Store) -> None:
    store.sql.execute(INNER)
    store.query(RATED)
    follows = store.follows()
    assert follows.keys() >= {"store.reviews", "store.categories"}
    assert follows["store.reviews"].key == ("product_id",)


def test_a_view_as_the_root_is_refused_with_the_tables_beneath_it(store: Store) -> None:
    store.sql.execute(INNER)
    store.query(RATED)
    store.write(ROOT, 'root = "store.rated"')
    done = store("plan")
    assert (done.returncode, "[projections.product] root: store.rated is a view" in done.stderr) == (2, True)
    assert store("apply", "--by", "alice", "--reason", "search", "--yes").returncode == 2
    lines = store.refusal().partition("\n\n")[2]
    assert lines.splitlines() == [
        'root = "store.categories"',
        '# or: root = "store.products"',
        '# or: root = "store.reviews"',
    ]


@pytest.mark.parametrize("how", FOLLOWED)
def test_a_followed_view_is_refused_with_lines_for_the_tables_beneath_it(store: Store, how: str) -> None:
    store.sql.execute(INNER)
    store.query(RATED)
    store.write(after=FOLLOW.format("rated", how))
    assert store("plan").returncode == 2
    refusal = store.refusal()
    assert "follow[1].table: store.rated is a view" in refusal
    tables, line = FOLLOWED[how]
    lines = refusal.partition("\n\n")[2]
    assert lines == "\n".join(FOLLOW.format(each, line).lstrip() for each in tables)
    store.write(FOLLOW.format("rated", how), f"\n{lines}")
    assert {*store.follows()} >= {f"store.{each}" for each in tables}


def test_an_ignored_view_is_refused_with_the_tables_beneath_it(store: Store) -> None:
    store.sql.execute(INNER)
    store.query(RATED)
    store.write(ROOT, f'{ROOT}\nignore = ["store.rated"]')
    lines = store.refusal().partition("\n\n")[2]
    assert lines == 'ignore = ["store.categories", "store.products", "store.reviews"]\n'


def test_a_declaration_in_force_with_a_view_as_its_root_waits_until_a_changed_file_is_applied(
    store: Store, engine: Elasticsearch
) -> None:
    store.sql.execute("INSERT INTO store.products (id, tenant, title) VALUES (1, 'a', 'Pan')")
    store.apply()
    store.cli.ok("worker", "--drain")
    store.sql.execute(FORMER)
    store.sql.execute("UPDATE store.products SET title = 'Lid'")
    done = store.cli("worker", "--drain")
    assert "Traceback" not in done.stderr
    assert store.sql.execute(WAITING).fetchall() == [("pending", "config", 0)]
    found = {each["id"] for each in json.loads(store.cli("doctor", "--json").stdout)["findings"]}
    assert "projection-former-root" in found
    for command in (["verify"], ["rebuild", *WHO, "--yes"]):
        refused = store.cli(command[0], "--projection", "product", *command[1:])
        assert refused.returncode not in (0, 4), refused
        assert "a view for its root, which is not supported any more" in " ".join(refused.stderr.split())
    assert held(engine, store.index)["1"]["title"] == "Pan"
    store.apply()
    store.sql.execute("UPDATE search_outbox_events SET next_retry_at = NULL WHERE follow IS NULL")
    store.cli.ok("worker", "--drain")
    assert held(engine, store.index) == documents(store.sql, "store.documents")


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
