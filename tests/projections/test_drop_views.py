"""The application's migrations: `projection sql --drop-views`, the migration, `projection apply`."""

from collections.abc import Callable

import psycopg
import pytest
from elasticsearch import Elasticsearch
from psycopg import errors
from psycopg.conninfo import make_conninfo

from processes import Worker, eventually
from projections.store import Store
from shop import documents, held

OURS = "public.outbox_document_product"
QUERY = "SELECT p.id, p.title, p.price, p.sold FROM store.products p"
RETYPE = "ALTER TABLE store.products ALTER price TYPE numeric(12, 3) USING price * 2"
WRITES = """
UPDATE store.products SET title = 'Steel pan' WHERE id = 1;
INSERT INTO store.products (id, tenant, title, price, "Odd ""%Name") VALUES (4, 'a', 'Lid', 1.125, 4);
DELETE FROM store.products WHERE id = 2
"""
OPEN = "SELECT DISTINCT status, error_reason, attempts FROM search_outbox_events WHERE status <> 'done'"
VIEWS = "SELECT relname::text FROM pg_class WHERE relname LIKE 'outbox\\_document\\_%' AND relkind = 'v'"
OTHERS = """
[projections.lid]
root = "store.products"
key = "id"
query = "SELECT id, title FROM public.outbox_document_product WHERE price < 2"
index = "{index}-lids"

[projections.product_of_the_team]
root = "store.products"
key = "id"
document = "store.documents"
index = "{index}-team"
"""


def filled(store: Store) -> None:
    """Three products, which are documents of a view that `apply` creates."""
    store.sql.execute(
        'INSERT INTO store.products (id, tenant, title, price, "Odd ""%Name")'
        " SELECT n, 'a', 'Pan', n, n FROM generate_series(1, 3) n"
    )
    store.query(QUERY)


def drop_views(store: Store) -> str:
    """What `--drop-views` prints."""
    return store.cli.ok("projection", "sql", str(store.file), "--drop-views")


def migrate(store: Store, *scripts: str) -> None:
    """Run these scripts in one transaction, each at once, as psql does."""
    login = make_conninfo(store.sql.info.dsn, password=store.sql.info.password)
    with psycopg.connect(login) as sql:
        for each in scripts:
            sql.execute(each.encode())


def test_a_used_column_gets_another_type_and_nothing_that_is_written_meanwhile_is_lost(
    store: Store, engine: Elasticsearch, worker: Callable[..., Worker]
) -> None:
    store.sql.execute("DROP VIEW store.documents")
    filled(store)
    store.apply()
    worker(OUTBOX_POLL_INTERVAL_SECONDS="0.1")
    eventually(lambda: held(engine, store.index) == documents(store.sql, OURS), what="delivered")
    with pytest.raises(errors.FeatureNotSupported):
        store.sql.execute(RETYPE.encode())
    migrate(store, drop_views(store), RETYPE)
    store.sql.execute(WRITES)
    eventually(lambda: store.sql.execute(OPEN).fetchall() == [("pending", "config", 0)], what="events wait")
    before = held(engine, store.index)
    done = store.apply()["projections"][0]["done"]
    assert [(each["what"], each["text"].partition(":")[0]) for each in done] == [
        ("view", f"create the view {OURS}"),
        ("declaration", "put in force"),
        ("documents", "every document is read again"),
    ]
    eventually(lambda: not store.sql.execute(OPEN).fetchall(), what="delivered again")
    after = held(engine, store.index)
    assert after == documents(store.sql, OURS)
    assert (before["1"]["price"], after["1"]["price"], after["4"]["price"]) == (1, 2, 1.125)
    assert (after["1"]["title"], "2" in after) == ("Steel pan", False)


def test_values_that_change_under_the_same_type_are_sent_too(store: Store, engine: Elasticsearch) -> None:
    """No row is written and no definition differs: that the view was away says it."""
    store.sql.execute("DROP VIEW store.documents")
    filled(store)
    store.apply()
    assert store.cli("worker", "--drain").returncode == 0
    migrate(store, drop_views(store), RETYPE.replace("12, 3", "10, 2"))
    store.apply()
    assert store.cli("worker", "--drain").returncode == 0
    assert held(engine, store.index) == documents(store.sql, OURS)
    assert held(engine, store.index)["3"]["price"] == 6


def test_our_views_are_dropped_and_those_of_the_team_are_named(store: Store) -> None:
    filled(store)
    store.apply()
    store.write(after=OTHERS.format(index=store.index))
    store.apply()
    printed = drop_views(store)
    assert "-- Yours: store.documents, the document of product_of_the_team." in printed.splitlines()
    store.sql.execute(f"CREATE VIEW store.report AS SELECT id FROM {OURS}".encode())
    with pytest.raises(errors.DependentObjectsStillExist, match="report"):
        migrate(store, printed)
    assert len(store.sql.execute(VIEWS).fetchall()) == 2
    migrate(store, "DROP VIEW store.report", printed, printed)
    assert store.sql.execute(VIEWS).fetchall() == []
    assert store.sql.execute("SELECT to_regclass('store.documents') IS NOT NULL").fetchone() == (True,)
    store.write(
        "p.title,", "upper(p.title) AS title, p.color,"
    )  # the file may be that of after the migration
    assert drop_views(store) == printed


def test_events_of_keys_of_the_new_type_wait_for_apply(store: Store, engine: Elasticsearch) -> None:
    store.sql.execute("CREATE TABLE store.items (id int PRIMARY KEY, name text)")
    store.sql.execute("CREATE VIEW store.item_documents AS SELECT * FROM store.items")
    store.write("store.products", "store.items")
    store.write("store.documents", "store.item_documents")
    store.write(after="""mapping = '{"mappings": {"properties": {"id": {"type": "long"}}}}'""")
    store.apply()
    store.sql.execute("DROP VIEW store.item_documents; ALTER TABLE store.items ALTER id TYPE bigint")
    store.sql.execute("CREATE VIEW store.item_documents AS SELECT * FROM store.items")
    store.sql.execute("INSERT INTO store.items VALUES (1, 'a'), (3000000000, 'b')")
    store.cli("worker", "--drain", timeout=60)
    assert store.sql.execute(
        "SELECT count(*) FROM search_outbox_events WHERE status = 'failed'"
    ).fetchone() == (0,)
    assert "rebuild" not in store.what()
    store.apply()
    assert store.cli("worker", "--drain").returncode == 0
    assert held(engine, store.index) == documents(store.sql, "store.item_documents")


@pytest.mark.parametrize(("kind", "now"), [("int", "text"), ("store.color", "text"), ("text", "store.color")])
def test_a_key_of_another_type_waits_for_apply_and_no_event_fails(
    store: Store, engine: Elasticsearch, kind: str, now: str
) -> None:
    value = "1" if kind == "int" else "red"
    view = "CREATE VIEW store.listed AS SELECT n::{}, name FROM store.items"
    store.sql.execute(f"CREATE TABLE store.items (n {kind} PRIMARY KEY, name text)".encode())
    store.sql.execute(view.format(kind).encode())
    store.sql.execute(f"INSERT INTO store.items VALUES ('{value}', 'a')".encode())
    store.write('key = "id"', 'key = "n"')
    store.write("store.products", "store.items")
    store.write("store.documents", "store.listed")
    store.write(after="""mapping = '{"mappings": {"properties": {"n": {"type": "keyword"}}}}'""")
    store.apply()
    assert store.cli("worker", "--drain").returncode == 0
    retype = f"ALTER TABLE store.items ALTER n TYPE {now} USING n::text::{now}"
    migrate(store, "DROP VIEW store.listed", retype, view.format(now))
    store.sql.execute("UPDATE store.items SET name = 'b'")
    store.cli("worker", "--drain", timeout=60)
    waits = "SELECT status, error_reason FROM search_outbox_events WHERE status <> 'done'"
    assert store.sql.execute(waits).fetchall() == [("pending", "config")]
    store.apply()
    eventually(lambda: store.cli("worker", "--drain") and not store.sql.execute(waits).fetchall())
    assert held(engine, store.index) == documents(store.sql, "store.listed", "n")
