"""A statement of many rows writes few events, and each of its documents is right all the same."""

import json
from dataclasses import replace

import psycopg

from outboxctl.core.database import Database
from outboxctl.core.projections.trigger_functions import BULK, MOST
from outboxctl.domain.projection import DOCUMENTS, Follow, KeyColumn
from projections.shop_tables import INT, PRODUCT, TEXT, keys, of, shop, taken, watch

EVENTS = "SELECT follow, count(*) FROM search_outbox_events GROUP BY 1 ORDER BY 1"
REVIEWS = "INSERT INTO shop.reviews (product_id, stars) SELECT {}, {} FROM generate_series({}, {}) n"
SEVERAL = [(DOCUMENTS, 1)]


def written(sql: psycopg.Connection, change: str) -> list[tuple[int | None, int]]:
    """How many events of each `follow` this statement writes."""
    sql.execute("TRUNCATE search_outbox_events")
    sql.execute(change.encode())
    return sql.execute(EVENTS).fetchall()


def products(first: int, count: int) -> str:
    """A statement that inserts so many products."""
    return f"INSERT INTO shop.products (id) SELECT n FROM generate_series({first}, {first + count - 1}) n"


def test_from_so_many_rows_on_a_statement_writes_one_event(watched: psycopg.Connection) -> None:
    assert written(watched, products(100, BULK - 1)) == [(None, BULK - 1)]
    assert written(watched, products(200, BULK)) == SEVERAL
    assert keys(watched) == sorted(str(n) for n in range(200, 200 + BULK))
    assert written(watched, "UPDATE shop.products SET name = 'x' WHERE id >= 200") == SEVERAL
    assert written(watched, "UPDATE shop.products SET name = 'x', stock = 2 WHERE id >= 200") == []
    assert written(watched, "DELETE FROM shop.products WHERE id >= 200") == SEVERAL
    assert keys(watched) == sorted(str(n) for n in range(200, 200 + BULK))


def test_so_many_rows_at_most_share_one(watched: psycopg.Connection) -> None:
    assert written(watched, products(100, 2 * MOST + 1)) == [(DOCUMENTS, 3)]
    ids = watched.execute("SELECT count(DISTINCT id) FROM search_outbox_events").fetchone()
    assert ids == (3,)
    assert len(set(keys(watched))) == 2 * MOST + 1


def test_a_row_names_the_documents_of_its_old_and_its_new_key(watched: psycopg.Connection) -> None:
    watched.execute(products(100, 50).encode())
    assert written(watched, "UPDATE shop.products SET id = id + 1000 WHERE id >= 100") == SEVERAL
    expected = {str(n) for n in (*range(100, 150), *range(1100, 1150))}
    assert set(keys(watched)) == expected
    watched.execute(REVIEWS.format("n", 1, 1100, 1149).encode())
    moved = "UPDATE shop.reviews SET product_id = product_id - 1 WHERE product_id > 1100"
    assert written(watched, moved) == SEVERAL
    assert set(keys(watched)) == {str(n) for n in range(1100, 1150)}
    moved = "UPDATE shop.reviews SET product_id = NULL WHERE product_id > 1110"
    assert written(watched, moved) == SEVERAL
    assert set(keys(watched)) == {str(n) for n in range(1111, 1149)}


def test_rows_of_a_query_are_arrays_of_its_parameters(db: Database, bare: psycopg.Connection) -> None:
    query = "SELECT product_id FROM shop.reviews WHERE product_id = :product_id AND stars = :stars"
    follow = Follow(shop("reviews"), keys=query, parameters=("product_id", "stars"))
    watch(db, replace(PRODUCT, follow=(replace(follow, types=(INT, "pg_catalog.int4"), columns=("body",)),)))
    bare.execute(REVIEWS.format(1, "nullif(n, 7)", 1, 30).encode())
    ((event, place),) = bare.execute("SELECT entity_key, follow FROM search_outbox_events").fetchall()
    content = json.loads(event)
    assert content["product_id"] == ["1"] * 30
    assert content["stars"] == [None if n == 7 else str(n) for n in range(1, 31)]
    assert place == 0


def test_a_key_that_may_be_long_has_events_of_its_own_beside_others(
    db: Database, bare: psycopg.Connection
) -> None:
    """Some hundreds of them could be more than a text can hold."""
    by_sku = replace(of("products", "sku", TEXT), name="by_sku")
    pairs = (KeyColumn("id", INT), KeyColumn("stock", "pg_catalog.int4"))
    watch(db, by_sku, PRODUCT, replace(of("products"), name="pair", key=pairs))
    bare.execute(b"INSERT INTO shop.products (id, sku) SELECT n, 's' || n FROM generate_series(100, 149) n")
    rows = bare.execute(EVENTS.replace("SELECT", "SELECT entity_type,").replace("BY 1", "BY 1, 2"))
    assert rows.fetchall() == [("by_sku", None, 50), ("pair", DOCUMENTS, 1), ("product", DOCUMENTS, 1)]
    assert ("pair", "100:0", None) in taken(bare)
