"""Tables that change beneath a projection: partitions and heirs come and go, and so do columns."""

import json

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.projections.trigger_names import function_name
from outboxctl.domain.projection import Relation
from processes import Cli
from projections.store import WHO, Store
from shop import documents, held

ORDERS = """
CREATE TABLE store.orders (id bigint, day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE store.orders_2025 PARTITION OF store.orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE store.orders_2026 PARTITION OF store.orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
"""
FILL = """
INSERT INTO store.orders SELECT n, '2025-05-05', 'old' FROM generate_series(1, 3) n;
INSERT INTO store.orders SELECT n, '2026-05-05', 'new' FROM generate_series(1, 2) n;
"""


@pytest.fixture
def orders(store: Store) -> Store:
    """A declaration of orders, which are partitioned by day."""
    store.sql.execute(ORDERS)
    store.write('root = "store.products"', 'root = "store.orders"')
    store.write('key = "id"', 'key = ["id", "day"]')
    store.write('document = "store.documents"', 'document = "store.orders"')
    return store


def test_plan_warns_of_partitions_as_root_or_as_followed_table(orders: Store) -> None:
    (warning,) = [each for each in orders.plan()["warnings"] if "partition" in each["text"]]
    assert "store.orders is partitioned" in warning["text"]
    assert "verify --projection product --repair" in warning["fix"]
    orders.apply()
    assert orders.what() == []


def test_a_new_partition_is_named_and_costs_no_second_reading_of_all_documents(
    orders: Store, sql: psycopg.Connection
) -> None:
    orders.apply()
    sql.execute(
        "CREATE TABLE store.orders_2027 PARTITION OF store.orders"
        " FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')"
    )
    name = function_name("public", Relation("store", "orders"), rows=True)
    named = f"events row by row on store.orders_2027 ({name})"
    assert [(each["what"], each["text"]) for each in orders.plan()["steps"]] == [("triggers", named)]
    found = json.loads(orders.cli("doctor", "--json").stdout)["findings"]
    (finding,) = [each for each in found if each["id"].startswith("projection-")]
    assert (finding["id"], finding["severity"]) == ("projection-row-by-row", "info")
    assert "store.orders_2027" in finding["what"]
    assert "apply" in finding["mend"]
    orders.apply()
    assert orders.what() == []


@pytest.mark.slow(reason="six commands for each of three ways")
@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("ALTER TABLE store.orders DETACH PARTITION store.orders_2025", ("extra", 3)),
        ("DROP TABLE store.orders_2025", ("extra", 3)),
    ],
)
def test_a_partition_as_a_whole_writes_no_event_and_a_repair_mends_it(
    orders: Store,
    cli: Cli,
    engine: Elasticsearch,
    sql: psycopg.Connection,
    change: str,
    found: tuple[str, int],
) -> None:
    orders.apply()
    sql.execute(FILL)
    cli.ok("worker", "--drain")
    before = orders.events()
    sql.execute(change)
    assert orders.events() == before, "docs/projections.md says so"
    seen = cli("verify", "--projection", "product", "--repair", *WHO, "--yes", "--json")
    assert found[0] in seen.stdout
    cli.ok("worker", "--drain")
    cli.ok("verify", "--projection", "product")
    engine.indices.refresh(index=orders.index)
    assert engine.count(index=orders.index)["count"] == 5 - found[1]


INHERITED = "CREATE TABLE store.products_of_before (PRIMARY KEY (id)) INHERITS (store.products)"
CHILD = "CREATE TABLE store.reviews_of_before () INHERITS (store.reviews)"


@pytest.mark.parametrize("statement", [INHERITED, CHILD])
def test_a_table_that_inherits_later_is_found_and_then_watched(store: Store, statement: str) -> None:
    store.apply()
    store.sql.execute(statement.encode())
    table = statement.split()[2]
    found = json.loads(store.cli("doctor", "--json").stdout)["findings"]
    assert [each for each in found if table in each["what"] and "apply" in each["mend"]], found
    assert {"triggers", "documents"} <= set(store.what())
    warnings = [each for each in store.plan()["warnings"] if "inherits" in each["text"]]
    assert [table.removesuffix("_of_before") in each["text"] for each in warnings] == [True]
    store.apply()
    assert store.what() == []
    store.sql.execute("DELETE FROM search_outbox_events")
    values = "(id, tenant) VALUES (7, 'a')" if "products" in table else "(id, product_id) VALUES (1, 7)"
    store.sql.execute(f"INSERT INTO {table} {values}".encode())
    assert store.events() == [("product", "7", None)]


VIEW = """
DROP VIEW store.documents;
CREATE VIEW store.documents AS SELECT p.id, to_jsonb(p) - 'made' - 'moment' AS whole FROM store.products p;
INSERT INTO store.products (id, tenant, title) VALUES (1, 'a', 'x')
"""
CHANGES = [
    "ALTER TABLE store.products ADD grade int NOT NULL DEFAULT 5",
    "ALTER TABLE store.products RENAME title TO headline;"
    " ALTER TABLE store.products ADD title text DEFAULT 'new'",
]


@pytest.mark.parametrize("more", [(), ("--no-triggers",)], ids=["triggers", "application"])
@pytest.mark.parametrize("change", CHANGES, ids=["added", "renamed"])
def test_a_change_of_the_columns_is_planned_said_and_sent(
    store: Store, cli: Cli, engine: Elasticsearch, change: str, more: tuple[str, ...]
) -> None:
    store.sql.execute(VIEW)
    store.apply(*more)
    cli.ok("worker", "--drain")
    store.sql.execute(change.encode())
    assert "documents" in store.what()
    assert "projection apply" in cli("doctor", "--only", "database").stdout
    store.apply()
    assert store.what() == []
    cli.ok("worker", "--drain")
    assert held(engine, store.index) == documents(store.sql, "store.documents")
