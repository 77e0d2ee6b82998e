"""Triggers of a projection: exactly the events of what a statement changed, and never a failure of the writer."""

from uuid import UUID

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections import triggers
from projections import shop_tables as shop
from projections.shop_tables import PRODUCT, keys, taken, watch


@pytest.fixture
def bare(sql: psycopg.Connection) -> psycopg.Connection:
    """The shop's tables with some rows, and no trigger."""
    sql.execute(shop.TABLES.encode())
    sql.execute(
        "INSERT INTO shop.products (id, sku, name) SELECT n, 's' || n, 'p' || n FROM generate_series(1, 4) n"
    )
    sql.execute("INSERT INTO shop.reviews (product_id, stars) VALUES (1, 5), (1, 3), (2, 5), (NULL, 1)")
    sql.execute("INSERT INTO shop.offers VALUES (1, 10), (1, 20), (2, 10)")
    sql.execute("INSERT INTO shop.categories VALUES (1, 'toys'), (2, 'books')")
    sql.execute("INSERT INTO shop.product_categories VALUES (1, 1), (2, 1), (2, 2)")
    return sql


@pytest.fixture
def sql_(db: Database, bare: psycopg.Connection) -> psycopg.Connection:
    """The same with the triggers of the projection `product`."""
    watch(db, PRODUCT)
    return bare


ROOT = [
    ("INSERT INTO shop.products (id) VALUES (7), (8)", "7 8"),
    ("INSERT INTO shop.products (id) SELECT 9 WHERE false", ""),
    ("UPDATE shop.products SET name = 'new' WHERE id < 3", "1 2"),
    ("UPDATE shop.products SET name = 'p1'", "2 3 4"),
    ("UPDATE shop.products SET name = name", ""),
    ("UPDATE shop.products SET stock = stock + 1, unused = 'x'", ""),
    ("UPDATE shop.products SET note = '{\"a\": 1}' WHERE id = 1", "1"),
    ("UPDATE shop.products SET place = '(1, 2)' WHERE id = 2", "2"),
    ("UPDATE shop.products SET id = id + 100 WHERE id > 2", "103 104 3 4"),
    ("DELETE FROM shop.products WHERE id > 2", "3 4"),
    ("DELETE FROM shop.products WHERE id > 99", ""),
    ("INSERT INTO shop.products (id) VALUES (1), (9) ON CONFLICT (id) DO UPDATE SET name = 'again'", "1 9"),
    ("INSERT INTO shop.products (id) VALUES (1) ON CONFLICT DO NOTHING", ""),
    ("COPY (SELECT 1) TO '/dev/null'", ""),
]
CHILD = [
    ("INSERT INTO shop.reviews (product_id) VALUES (1), (1), (3), (NULL)", "1 3"),
    ("UPDATE shop.reviews SET stars = 4", "1 2"),
    ("UPDATE shop.reviews SET seen = now()", ""),
    ("UPDATE shop.reviews SET product_id = 4 WHERE product_id = 1", "1 4"),
    ("UPDATE shop.reviews SET product_id = NULL WHERE product_id = 2", "2"),
    ("UPDATE shop.reviews SET product_id = 3 WHERE product_id IS NULL", "3"),
    ("DELETE FROM shop.reviews WHERE stars = 5", "1 2"),
    ("DELETE FROM shop.reviews WHERE product_id IS NULL", ""),
    # Offers have no key, and the same values twice after it: one price of each has changed nonetheless.
    ("UPDATE shop.offers SET price = 20 WHERE product_id = 1", "1"),
    ("UPDATE shop.offers SET price = 30 - price WHERE product_id = 1", ""),
    ("UPDATE shop.offers SET product_id = 3 - product_id WHERE price = 10", ""),
    ("UPDATE shop.offers SET product_id = 3 - product_id", "1 2"),
]


@pytest.mark.parametrize(("statement", "expected"), ROOT + CHILD)
def test_a_statement_writes_the_keys_of_what_it_changed(
    sql_: psycopg.Connection, statement: str, expected: str
) -> None:
    sql_.execute(statement.encode())
    assert keys(sql_) == expected.split()
