"""Queries of `keys`: each runs as it was written and checked; what cannot be found by one pays alone."""

from collections.abc import Callable

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from processes import Cli, Worker, eventually
from projections.store import Store

# One of its functions raises for one category, with a SQLSTATE of its own.
RAISING = """
CREATE FUNCTION shop.checked(category int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    IF category = 2 THEN RAISE EXCEPTION 'no such category' USING ERRCODE = '08001'; END IF;
    RETURN category;
END $$;
INSERT INTO shop.categories VALUES (1, 'tea'), (2, 'pots');
INSERT INTO shop.products SELECT n, 'p', 1, 1, 1 FROM generate_series(1, 20) n;
"""
# No row of it can be found by reading all of it: one raises.
CONDITION = """
CREATE OR REPLACE VIEW shop.product_documents AS
SELECT p.id, p.name, p.price, NULL::text AS category, 1 AS share, '[]'::json AS reviews
FROM shop.products p WHERE p.published AND 100 / p.divisor > 0
"""
FOLLOW = shop.by_category("SELECT p.id FROM shop.products p WHERE p.category_id = shop.checked(:id)")
EVENTS = "SELECT status, error_reason, attempts FROM search_outbox_events WHERE follow IS NOT NULL"


@pytest.fixture
def products(products: str, db: Database, sql: psycopg.Connection) -> str:
    """Products of one category, followed by that function."""
    sql.execute(RAISING)
    shop.put_in_force(db, shop.product(products, follow=(FOLLOW,)))
    return products


def test_a_query_that_no_row_can_be_found_by_waits(
    products: str, worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute("ALTER FUNCTION shop.checked RENAME TO gone")
    shop.waiting(sql, {"id": "1"})
    worker(OUTBOX_OUTAGE_POLICY="hold", OUTBOX_MAX_BACKOFF_SECONDS="1")
    eventually(lambda: sql.execute(EVENTS).fetchall() == [("pending", "config", 0)])
    sql.execute("ALTER FUNCTION shop.gone RENAME TO checked")
    eventually(lambda: len(shop.held(engine, products)) == 20)


def test_a_row_for_which_the_views_condition_raises_keeps_no_other_from_being_read_again(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute(CONDITION)
    sql.execute("UPDATE shop.products SET divisor = 0 WHERE id = 7")
    shop.waiting(sql, "", follow=-1)
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {str(n) for n in range(1, 21)} - {"7"}
    assert sql.execute(EVENTS).fetchall() == [("done", None, 1)]
    failed = "SELECT entity_key, error_reason FROM search_outbox_events WHERE status = 'failed'"
    assert sql.execute(failed).fetchall() == [("7", "bad_document")]


SETTLED = "SELECT DISTINCT status FROM search_outbox_events"
SHELVES = """
[[projections.product.follow]]
table = "store.shelves"
keys = '''{keys}'''
"""
TABLE = "CREATE TABLE store.shelves (id int PRIMARY KEY, products bigint[], label text)"
VIEW = """
CREATE OR REPLACE VIEW store.documents AS
SELECT p.id,
    (SELECT json_agg(s.label ORDER BY s.id) FROM store.shelves s WHERE p.id = ANY (s.products)) AS shelves
FROM store.products p
"""


@pytest.mark.parametrize(
    "keys",
    [
        "SELECT p.id FROM store.products p WHERE :products IS NOT NULL AND p.id = ANY (:products)",
        "SELECT unnest(:products)",
        "SELECT id FROM store.products WHERE (:label IS NULL OR length(:label) > 0) AND id = ANY (:products)",
        # A literal that names one of our tables, and an alias.
        "SELECT search_index.id FROM store.products search_index WHERE id = ANY (:products)"
        " AND 'a search_index b' = concat('a search', '_index b')",
    ],
)
def test_a_keys_query_runs_as_it_was_checked(
    store: Store, cli: Cli, engine: Elasticsearch, keys: str
) -> None:
    store.sql.execute(TABLE)
    store.sql.execute("DROP VIEW store.documents")
    store.sql.execute(VIEW.encode())
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    store.sql.execute("INSERT INTO store.shelves VALUES (1, '{1}', 'low')")
    store.write(after=SHELVES.format(keys=keys))
    store.apply()
    cli.ok("worker", "--drain")
    assert shop.held(engine, store.index) == {"1": {"id": 1, "shelves": ["low"]}}
    store.sql.execute("UPDATE store.shelves SET label = 'high'")
    cli.ok("worker", "--drain")
    assert store.sql.execute(SETTLED).fetchall() == [("done",)]
    assert shop.held(engine, store.index) == {"1": {"id": 1, "shelves": ["high"]}}


NAMED_AS_OURS = """
CREATE TABLE store.search_index (id int PRIMARY KEY, outbox_workers text);
CREATE TABLE store.outbox_deletes (id int PRIMARY KEY, search_index int, name text);
CREATE INDEX ON store.outbox_deletes (search_index);
INSERT INTO store.search_index VALUES (1, 'a');
INSERT INTO store.outbox_deletes VALUES (1, 1, 'x');
"""
SELECT = """SELECT search_index.id, search_index.outbox_workers, 'to_regclass(search_index) ' AS text,
(SELECT json_agg(outbox_deletes.name) FROM store.outbox_deletes
    WHERE outbox_deletes.search_index = search_index.id) AS names FROM store.search_index"""
DECLARED = """
[projections.product]
root = "store.search_index"
key = "id"
query = '''{select}'''
index = "{index}"
[[projections.product.follow]]
table = "store.outbox_deletes"
keys = "SELECT search_index FROM store.outbox_deletes WHERE search_index = :search_index"
"""


def test_tables_of_yours_that_have_the_names_of_ours_are_yours(
    store: Store, cli: Cli, engine: Elasticsearch
) -> None:
    """No SQL of the user's is rewritten: the names of our tables in it are not qualified."""
    store.sql.execute(NAMED_AS_OURS)
    store.file.write_text(DECLARED.format(select=SELECT, index=store.index), encoding="utf-8")
    store.apply()
    cli.ok("worker", "--drain")
    store.sql.execute("UPDATE store.search_index SET outbox_workers = 'b'")
    store.sql.execute("UPDATE store.outbox_deletes SET name = 'y'")
    cli.ok("worker", "--drain")
    text = "to_regclass(search_index) "
    document = {"id": 1, "outbox_workers": "b", "text": text, "names": ["y"]}
    assert shop.held(engine, store.index) == {"1": document}
    cli.ok("verify", "--projection", "product")
    cli.ok("projection", "preview", "product", "1")
