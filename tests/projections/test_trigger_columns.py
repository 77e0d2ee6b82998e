"""Columns that no trigger can read, that are added later, or whose name another one took."""

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.domain.projection import Follow
from projections import shop_tables as shop
from projections.shop_tables import faults, function, keys, taken, watch
from projections.store import Store
from servers import needs_release

ORDERS = """
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id bigint PRIMARY KEY, price int, quantity int, unused text,
    total int GENERATED ALWAYS AS (price * quantity) VIRTUAL);
CREATE TABLE shop.lines (id bigint, day date, price int, quantity int, unused text,
    total int GENERATED ALWAYS AS (price * quantity) VIRTUAL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE shop.lines_2026 PARTITION OF shop.lines FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO shop.orders VALUES (1, 2, 3), (2, 5, 7);
INSERT INTO shop.lines VALUES (1, '2026-05-05', 2, 3), (2, '2026-05-05', 5, 7);
"""
VIRTUAL = """
ALTER TABLE store.products ADD net int, ADD tax int, ADD unused_too int,
    ADD gross int GENERATED ALWAYS AS (net + tax) VIRTUAL;
ALTER TABLE store.reviews ADD points int GENERATED ALWAYS AS (stars * 10) VIRTUAL;
DROP VIEW store.documents;
CREATE VIEW store.documents AS SELECT p.id, p.gross,
    (SELECT json_agg(r.points) FROM store.reviews r WHERE r.product_id = p.id) AS points
FROM store.products p;
INSERT INTO store.products (id, tenant, net, tax) VALUES (1, 'a', 1, 2);
INSERT INTO store.reviews VALUES (1, 1, 5, 'x');
"""


@pytest.fixture
def orders(sql: psycopg.Connection) -> psycopg.Connection:
    """Orders, and lines by day, whose totals are computed when they are read."""
    needs_release(sql, 18, "virtual generated columns")
    sql.execute(ORDERS.encode())
    return sql


@pytest.mark.parametrize("table", ["orders", "lines"])
def test_a_virtual_column_of_a_table_that_is_the_document_fails_no_write(
    db: Database, orders: psycopg.Connection, table: str
) -> None:
    watch(db, shop.of(table))
    orders.execute(f"UPDATE shop.{table} SET price = 9 WHERE id = 1".encode())
    assert keys(orders) == ["1"]
    orders.execute(f"UPDATE shop.{table} SET price = 9 WHERE id = 1".encode())
    assert keys(orders) == []
    orders.execute(f"DELETE FROM shop.{table} WHERE id = 1".encode())
    assert keys(orders) == ["1"]


@pytest.mark.parametrize("table", ["orders", "lines"])
def test_columns_that_are_added_later_fail_no_write_and_hide_no_change(
    db: Database, orders: psycopg.Connection, table: str
) -> None:
    projection = shop.of(table, follow=(Follow(shop.shop(table), key=("id",)),))
    watch(db, projection)
    orders.execute(
        f"ALTER TABLE shop.{table} ADD note text, ADD double int GENERATED ALWAYS AS (price * 2)".encode()
    )
    orders.execute(f"UPDATE shop.{table} SET note = 'x' WHERE id = 1".encode())
    assert keys(orders) == ["1", "1"]  # of the root, and of the followed table
    assert {name for _, name, _ in faults(db, projection)} == {"FUNCTION"}
    watch(db, projection)
    assert faults(db, projection) == []
    orders.execute(f"UPDATE shop.{table} SET note = 'x' WHERE id = 1".encode())
    assert keys(orders) == []
    orders.execute(f"UPDATE shop.{table} SET note = 'y' WHERE id = 1".encode())
    assert keys(orders) == ["1", "1"]


def test_what_a_virtual_column_is_computed_from_is_watched(store: Store) -> None:
    needs_release(store.sql, 18, "virtual generated columns")
    store.sql.execute(VIRTUAL)
    store.apply()
    assert store.what() == []
    store.sql.execute("DELETE FROM search_outbox_events")
    for change, events in (
        ("UPDATE store.products SET tax = 3", 1),
        ("UPDATE store.products SET unused_too = 3", 0),
        ("UPDATE store.reviews SET stars = 3", 1),
        ("UPDATE store.reviews SET body = 'y'", 0),
    ):
        store.sql.execute(change.encode())
        assert store.events() == [("product", "1", None)] * events, change
        store.sql.execute("DELETE FROM search_outbox_events")


@pytest.mark.parametrize("by", ['key = "product"', 'keys = "SELECT :product"'])
def test_a_virtual_column_cannot_say_which_documents_a_row_belongs_to(store: Store, by: str) -> None:
    needs_release(store.sql, 18, "virtual generated columns")
    store.sql.execute("ALTER TABLE store.reviews ADD product bigint GENERATED ALWAYS AS (product_id) VIRTUAL")
    store.write(after=f'[[projections.product.follow]]\ntable = "store.reviews"\n{by}\n')
    done = store("plan")
    assert done.returncode == 2
    assert "'product' is a virtual generated column" in done.stderr
    assert "product_id" in done.stderr


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_column_that_took_the_name_of_another_one_is_no_reason_to_miss_a_change(
    db: Database, sql: psycopg.Connection, partitioned: bool
) -> None:
    by = "PARTITION BY RANGE (id)" if partitioned else ""
    sql.execute(
        f"CREATE SCHEMA shop; CREATE TABLE shop.t (id bigint PRIMARY KEY, name text, x int) {by}".encode()
    )
    if partitioned:
        sql.execute("CREATE TABLE shop.part PARTITION OF shop.t DEFAULT")
    projection = shop.of("t", columns=("id", "name"))
    watch(db, projection)
    sql.execute("INSERT INTO shop.t VALUES (1, 'a', 1)")
    sql.execute("UPDATE shop.t SET x = 2")
    assert keys(sql) == ["1"]
    sql.execute("ALTER TABLE shop.t RENAME name TO title; ALTER TABLE shop.t ADD name text")
    sql.execute("UPDATE shop.t SET title = 'b'")
    assert taken(sql) == [("t", "", -1)]
    functions = [function("t", rows=rows) for rows in ((False, True) if partitioned else (False,))]
    assert faults(db, projection) == [("t", "FUNCTION", name) for name in functions]
    watch(db, projection)
    sql.execute("UPDATE shop.t SET title = 'c'")
    assert keys(sql) == []
    sql.execute("UPDATE shop.t SET name = 'c'")
    assert keys(sql) == ["1"]
