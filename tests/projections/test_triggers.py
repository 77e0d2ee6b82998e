"""Triggers of a projection: exactly the events of what a statement changed."""

from dataclasses import replace

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.domain.projection import Follow
from projections import shop_tables as shop
from projections.shop_tables import PRODUCT, REVIEWS, event_id, keys, taken, watch
from servers import needs_release

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
    (
        "MERGE INTO shop.products p USING (VALUES (1), (2), (9)) v (id) ON p.id = v.id"
        " WHEN MATCHED AND p.id = 1 THEN UPDATE SET name = 'merged' WHEN MATCHED THEN UPDATE SET stock = 1"
        " WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id)",
        "1 9",
    ),
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
    # Of one row, which has a way of its own.
    ("UPDATE shop.reviews SET product_id = 3 WHERE id = 1", "1 3"),
    ("UPDATE shop.reviews SET product_id = 3 WHERE id = 4", "3"),
    ("UPDATE shop.reviews SET product_id = NULL, stars = 2 WHERE id = 1", "1"),
    ("UPDATE shop.reviews SET stars = 2 WHERE id = 4", ""),
    ("UPDATE shop.reviews SET stars = 5, seen = now() WHERE id = 1", ""),
    ("UPDATE shop.reviews SET stars = NULL WHERE id = 1", "1"),
    ("UPDATE shop.products SET id = 9 WHERE id = 4", "4 9"),
    ("DELETE FROM shop.reviews WHERE id = 4", ""),
    ("INSERT INTO shop.reviews (product_id) VALUES (NULL)", ""),
    # Offers have no key, and the same values twice after it: one price of each has changed nonetheless.
    ("UPDATE shop.offers SET price = 20 WHERE product_id = 1", "1"),
    # Rows that exchange what they have count as changed.
    ("UPDATE shop.offers SET price = 30 - price WHERE product_id = 1", "1"),
    ("UPDATE shop.offers SET product_id = 3 - product_id WHERE price = 10", "1 2"),
    ("UPDATE shop.offers SET product_id = 3 - product_id", "1 2"),
]


@pytest.mark.parametrize(("statement", "expected"), ROOT + CHILD)
def test_a_statement_writes_the_keys_of_what_it_changed(
    watched: psycopg.Connection, statement: str, expected: str
) -> None:
    if statement.startswith("MERGE"):
        needs_release(watched, 15, "MERGE")
    watched.execute(statement.encode())
    assert keys(watched) == expected.split()


LINKS = [
    ("INSERT INTO shop.product_categories VALUES (3, 2), (4, 2)", ["3", "4"], []),
    ("DELETE FROM shop.product_categories WHERE category_id = 1", ["1", "2"], []),
    ("UPDATE shop.categories SET name = 'games' WHERE id = 1", [], ["1"]),
    ("UPDATE shop.categories SET unused = 'x'", [], []),
    ("UPDATE shop.categories SET name = upper(name)", [], ["1", "2"]),
    ("INSERT INTO shop.categories VALUES (3, 'x')", [], ["3"]),
    # The cascade takes its links away.
    ("DELETE FROM shop.categories WHERE id = 1", ["1", "2"], ["1"]),
    ("UPDATE shop.categories SET id = 3 - id WHERE id < 0", [], []),
]


@pytest.mark.parametrize(("statement", "documents", "rows"), LINKS)
def test_a_row_with_many_documents_behind_it_is_one_event(
    watched: psycopg.Connection, statement: str, documents: list[str], rows: list[str]
) -> None:
    watched.execute(statement.encode())
    found = taken(watched)
    assert [key for _, key, follow in found if follow is None] == documents
    assert [(key, follow) for _, key, follow in found if follow is not None] == [
        (f'{{"id": "{row}"}}', 3) for row in rows
    ]


def test_a_followed_row_whose_parameters_change_is_followed_by_both(watched: psycopg.Connection) -> None:
    watched.execute("INSERT INTO shop.categories VALUES (7, 'x')")
    taken(watched)
    watched.execute("UPDATE shop.categories SET id = 8 WHERE id = 7")
    assert taken(watched) == [("product", '{"id": "7"}', 3), ("product", '{"id": "8"}', 3)]


def test_events_have_the_ids_of_their_keys_and_begin_as_pending(watched: psycopg.Connection) -> None:
    watched.execute("INSERT INTO shop.products (id) VALUES (7)")
    watched.execute("UPDATE shop.categories SET name = 'x' WHERE id = 2")
    watched.execute("TRUNCATE shop.reviews")
    rows = watched.execute(
        "SELECT entity_id, entity_type, op, event_version, status, attempts, replay_count, follow_cursor"
        " FROM search_outbox_events ORDER BY follow NULLS FIRST"
    ).fetchall()
    texts = ["product:7", "product/-1:", 'product/3:{"id": "2"}']
    same = ("product", "upsert", None, "pending", 0, 0, None)
    assert rows == [(event_id(each), *same) for each in texts]


def test_what_the_database_changes_by_itself_is_followed(watched: psycopg.Connection) -> None:
    watched.execute("DELETE FROM shop.products WHERE id = 1")
    found = keys(watched)
    assert set(found) == {"1"}
    # The product, two reviews, a link, and two offers that lost it (at least one event for each table).
    assert len(found) >= 4
    watched.execute("ALTER TABLE shop.offers DROP CONSTRAINT offers_product_id_fkey")
    watched.execute("DELETE FROM shop.product_categories")
    taken(watched)
    watched.execute("UPDATE shop.products SET id = 12 WHERE id = 2")
    assert set(keys(watched)) == {"2", "12"}


def test_only_what_is_committed_is_an_event(watched: psycopg.Connection) -> None:
    with watched.transaction():
        watched.execute("UPDATE shop.products SET name = 'x' WHERE id = 1")
        with watched.transaction(force_rollback=True):
            watched.execute("UPDATE shop.products SET name = 'x' WHERE id = 2")
        watched.execute("UPDATE shop.reviews SET stars = 1 WHERE product_id = 2")
    with watched.transaction(force_rollback=True):
        watched.execute("DELETE FROM shop.products WHERE id = 3")
    assert keys(watched) == ["1", "2"]


def test_a_truncation_is_one_event_for_each_table(watched: psycopg.Connection) -> None:
    watched.execute("TRUNCATE shop.reviews")
    assert taken(watched) == [("product", "", -1)]
    watched.execute("TRUNCATE shop.categories CASCADE")
    assert taken(watched) == [("product", "", -1)] * 2
    watched.execute("TRUNCATE shop.products CASCADE")
    assert taken(watched) == [("product", "", -1)] * 4
    watched.execute("TRUNCATE shop.products CASCADE")
    assert {follow for _, _, follow in taken(watched)} == {-1}


def test_copied_rows_are_events(watched: psycopg.Connection) -> None:
    with watched.cursor().copy("COPY shop.products (id) FROM STDIN") as copy:
        copy.write("21\n22\n")
    assert keys(watched) == ["21", "22"]


def test_rows_without_a_key_of_their_own_are_counted(watched: psycopg.Connection) -> None:
    watched.execute("INSERT INTO shop.offers VALUES (3, 10), (3, 10), (3, 20)")
    taken(watched)
    first = "SELECT min(ctid) FROM shop.offers WHERE product_id = 3"
    set_all = f"UPDATE shop.offers SET price = CASE WHEN ctid = ({first}) THEN 20 ELSE price END"
    watched.execute(f"{set_all} WHERE product_id = 3".encode())
    assert keys(watched) == ["3"]  # twice 10 and once 20 is not once 10 and twice 20


def test_keys_that_are_swapped_are_both_changed(db: Database, sql: psycopg.Connection) -> None:
    sql.execute("CREATE SCHEMA shop; CREATE TABLE shop.swap (id bigint, name text, UNIQUE (id) DEFERRABLE)")
    sql.execute("INSERT INTO shop.swap VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'c')")
    watch(db, shop.of("swap", columns=("name",)))
    sql.execute("UPDATE shop.swap SET id = 3 - id WHERE id < 3")
    assert set(keys(sql)) == {"1", "2"}
    sql.execute("UPDATE shop.swap SET id = 7 - id WHERE id > 2")
    assert set(keys(sql)) == {"3", "4"}  # as if nothing had happened, at the cost of two events


def test_a_table_that_is_followed_besides_being_the_root(db: Database, bare: psycopg.Connection) -> None:
    """A product shows the name of its parent: what a row says reaches its own document and its children's."""
    children = Follow(
        shop.shop("products"),
        keys="SELECT id FROM shop.products WHERE parent_id = :id",
        parameters=("id",),
        columns=("name",),
    )
    watch(db, replace(PRODUCT, columns=("name", "parent_id"), follow=(children, REVIEWS)))
    bare.execute("UPDATE shop.products SET name = 'x' WHERE id = 1")
    assert taken(bare) == [("product", "1", None), ("product", '{"id": "1"}', 0)]
    bare.execute("UPDATE shop.products SET parent_id = 1 WHERE id = 2")
    assert taken(bare) == [("product", "2", None)]
