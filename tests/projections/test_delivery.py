"""Events of a declared projection become documents of its index, by a real worker."""

from collections.abc import Callable

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.drills import services
from processes import Cli, Worker, eventually


def test_joined_rows_become_a_document_and_a_row_that_leaves_the_view_has_none(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea')")
    sql.execute("INSERT INTO shop.products VALUES (7, 'cup', 3.50, 4, 1), (8, 'pot', 20, 5, NULL)")
    sql.execute("INSERT INTO shop.reviews (product_id, stars, body) VALUES (7, 5, 'good'), (7, 1, 'broke')")
    shop.changed(sql, 7, 8, 9)
    cli.ok("worker", "--drain")
    reviews = [{"stars": 5, "body": "good"}, {"stars": 1, "body": "broke"}]
    cup = {"id": 7, "name": "cup", "price": 3.5, "category": "tea", "share": 25, "reviews": reviews}
    pot = {"id": 8, "name": "pot", "price": 20.0, "category": None, "share": 20, "reviews": []}
    assert shop.held(engine, products) == {"7": cup, "8": pot}
    assert {row[0] for row in shop.rows(sql)} == {"done"}
    sql.execute("UPDATE shop.products SET published = false WHERE id = 7")
    shop.changed(sql, 7)
    cli.ok("worker", "--drain")
    assert shop.held(engine, products) == {"8": pot}


def test_a_key_that_is_none_of_the_projection_fails_alone(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute("INSERT INTO shop.products VALUES (1, 'cup', 1, 1)")
    shop.changed(sql, "one", 1, "01")
    cli.ok("worker", "--drain")
    assert list(shop.held(engine, products)) == ["1"]
    assert [row[:2] for row in shop.rows(sql)].count(("failed", "bad_document")) == 1


def test_a_view_that_is_locked_or_gone_holds_up_its_own_projection_only(
    products: str, worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    sql.execute("INSERT INTO shop.products VALUES (1, 'cup', 1, 1)")
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE shop.products")
        shop.changed(sql, 1)
        worker(OUTBOX_MAX_BACKOFF_SECONDS="1")
        sql.execute(
            "INSERT INTO search_index (entity_type, entity_id, text, event_version)"
            " VALUES ('doc', gen_random_uuid(), 'x', 1)"
        )
        sql.execute(
            "INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version)"
            " SELECT entity_type, entity_id, 'upsert', 1 FROM search_index"
        )
        done = "SELECT count(*) FROM search_outbox_events WHERE status = 'done' AND entity_key IS NULL"
        eventually(lambda: sql.execute(done).fetchone() == (1,))
        kept = "SELECT attempts, error_reason FROM search_outbox_events WHERE entity_key = '1'"
        eventually(lambda: sql.execute(kept).fetchone() == (0, "config"))
    eventually(lambda: shop.held(engine, products).keys() == {"1"})


@pytest.mark.usefixtures("products")
def test_an_outage_of_the_sink_costs_a_projection_no_attempt_unless_a_policy_is_set(
    worker: Callable[..., Worker], sql: psycopg.Connection
) -> None:
    sql.execute("INSERT INTO shop.products VALUES (1, 'cup', 1, 1)")
    shop.changed(sql, 1)
    sql.execute(
        "INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version)"
        " VALUES ('doc', gen_random_uuid(), 'delete', 1)"
    )
    away = {"ELASTIC_URL": f"http://127.0.0.1:{services.fresh_port()}", "OUTBOX_MAX_ATTEMPTS": "1"}
    first = worker(**away)
    of = "SELECT status, attempts, error_reason FROM search_outbox_events WHERE num_nulls(entity_key) = {}"
    eventually(lambda: sql.execute(of.format(1)).fetchone() == ("failed", 1, "connect"), within=20)
    eventually(lambda: sql.execute(of.format(0)).fetchone() == ("pending", 0, "connect"), within=20)
    first.end()
    other = worker(**away, OUTBOX_OUTAGE_POLICY="count")
    eventually(lambda: sql.execute(of.format(0)).fetchone() == ("failed", 1, "connect"), within=20)
    other.end()


@pytest.mark.real_engine
def test_an_index_that_is_ahead_of_a_restored_database_raises_all_versions(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute("INSERT INTO shop.products VALUES (1, 'cup', 1, 1), (2, 'pot', 1, 1)")
    for id_ in ("1", "2", "3"):
        engine.index(
            index=products, id=id_, document={"name": "lost"}, version=2**33, version_type="external_gte"
        )
    engine.delete(index=products, id="2", version=2**34, version_type="external_gte")
    engine.index(
        index=products, id="3", document={"name": "lost"}, version=2**63 - 1, version_type="external_gte"
    )
    shop.changed(sql, 1, 2, 3)
    cli.ok("worker", "--drain")
    assert [shop.held(engine, products)[id_]["name"] for id_ in ("1", "2")] == ["cup", "pot"]
    assert engine.get(index=products, id="2")["_version"] > 2**34
    (failed,) = [row for row in shop.rows(sql) if row[0] == "failed"]
    assert "delete the document" in failed[2]
