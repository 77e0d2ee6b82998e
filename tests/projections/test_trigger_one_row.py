"""Statements of one row, and of none: what an application sends most of the time."""

import psycopg
import pytest

from outboxctl.core.database import Database
from projections import shop_tables as shop
from projections.shop_tables import keys, taken, watch

IDS = "SELECT entity_key, id FROM public.search_outbox_events ORDER BY id"


def test_a_statement_that_changes_no_row_writes_nothing_whatever_became_of_the_columns(
    watched: psycopg.Connection,
) -> None:
    watched.execute("ALTER TABLE shop.products RENAME name TO title")
    watched.execute(
        "UPDATE shop.products SET title = 'x' WHERE id = 99; DELETE FROM shop.products WHERE id = 99"
    )
    watched.execute("INSERT INTO shop.products (id) SELECT 99 WHERE false")
    assert taken(watched) == []


def test_an_upsert_is_one_event(watched: psycopg.Connection) -> None:
    for number in (7, 7, 8):
        watched.execute(
            "INSERT INTO shop.products (id, name) VALUES (7, %s)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            [f"n{number}"],
        )
    assert keys(watched) == ["7", "7"]  # the second one changes nothing


@pytest.mark.parametrize(
    ("change", "events"),
    [
        ("UPDATE shop.reviews SET product_id = 3 WHERE id = 1", ["1", "3"]),
        ("UPDATE shop.reviews SET product_id = 3 WHERE id = 4", ["3"]),
        ("UPDATE shop.reviews SET product_id = NULL, stars = 2 WHERE id = 1", ["1"]),
        ("UPDATE shop.reviews SET stars = 2 WHERE id = 4", []),
        ("UPDATE shop.reviews SET stars = 5, seen = now() WHERE id = 1", []),
        ("UPDATE shop.reviews SET stars = NULL WHERE id = 1", ["1"]),
        ("UPDATE shop.products SET id = 9 WHERE id = 4", ["4", "9"]),
        ("DELETE FROM shop.reviews WHERE id = 4", []),
        ("INSERT INTO shop.reviews (product_id) VALUES (NULL)", []),
    ],
)
def test_one_row_has_the_events_of_its_keys(
    watched: psycopg.Connection, change: str, events: list[str]
) -> None:
    watched.execute(change.encode())
    found = watched.execute(IDS).fetchall()
    assert sorted(key for key, _ in found) == events
    assert len({id_ for _, id_ in found}) == len(events)


def test_a_row_that_a_trigger_keeps_from_its_new_partition_is_not_missed(
    db: Database, sql: psycopg.Connection
) -> None:
    sql.execute(
        "CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);"
        " CREATE TABLE shop.low PARTITION OF shop.t FOR VALUES FROM (0) TO (10);"
        " CREATE TABLE shop.high PARTITION OF shop.t FOR VALUES FROM (10) TO (20);"
        " CREATE FUNCTION shop.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER none BEFORE INSERT ON shop.high FOR EACH ROW EXECUTE FUNCTION shop.none()"
    )
    watch(db, shop.of("t", "id", "pg_catalog.int4", columns=("id",)))
    sql.execute("INSERT INTO shop.t VALUES (1, 1)")
    assert keys(sql) == ["1"]
    sql.execute("UPDATE shop.t SET id = 11")
    assert sql.execute("SELECT 1 FROM shop.t").fetchall() == []
    assert keys(sql) == ["1"]
