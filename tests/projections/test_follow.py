"""One changed row with many documents behind it: one event, expanded by the worker in pages."""

from collections.abc import Callable

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from outboxctl.core.projections import follow_pages
from processes import Cli, Worker, eventually

NOT_DONE = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
LEASED = "SELECT count(*) FROM search_outbox_events WHERE lease_until > now()"
BY_CATEGORY = shop.by_category("SELECT p.id FROM shop.products p WHERE p.category_id = :id -- ':not'\n")


@pytest.fixture
def products(products: str, db: Database, sql: psycopg.Connection) -> str:
    """A category with 5,000 products, and one with two; no event yet."""
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea'), (2, 'pots')")
    sql.execute("INSERT INTO shop.products SELECT n, 'p', 1, 1, 1 FROM generate_series(1, 5000) n")
    sql.execute("INSERT INTO shop.products VALUES (7001, 'p', 1, 1, 2), (7002, 'p', 1, 1, 2)")
    shop.put_in_force(db, shop.product(products, follow=(BY_CATEGORY,)))
    return products


def drained(cli: Cli, sql: psycopg.Connection) -> None:
    """Drain until every event is settled: on a busy machine a batch may need a retry."""
    eventually(lambda: cli("worker", "--drain").returncode == 0 and sql.execute(NOT_DONE).fetchone() == (0,))


def test_all_documents_behind_a_row_are_sent_in_pages(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    shop.waiting(sql, {"id": "1"})
    shop.waiting(sql, {"id": "1"})
    drained(cli, sql)
    engine.indices.refresh(index=products)
    assert engine.count(index=products)["count"] == 5_000
    named = (
        "SELECT count(*) FILTER (WHERE follow = 0),"
        " sum(CASE follow WHEN -2 THEN json_array_length(entity_key::json) WHEN 0 THEN 0 ELSE 1 END)"
        " FROM search_outbox_events"
    )
    changes, keys = sql.execute(named).fetchone() or (0, 0)
    assert changes == 2
    assert keys < 2 * 5_000, "both events are expanded together"


@pytest.mark.slow(reason="thousands of documents, 50 a batch")
def test_fresh_events_of_others_do_not_wait_for_all_pages(
    products: str, worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    shop.waiting(sql, {"id": "1"})
    worker(OUTBOX_BULK_SIZE="50", OUTBOX_CONCURRENCY="1")
    written = "SELECT count(*) FROM search_outbox_events WHERE entity_key IS NOT NULL AND follow IS NULL"
    eventually(lambda: sql.execute(written).fetchone() == (follow_pages.PAGE,))
    shop.changed(sql, 7001)
    eventually(lambda: engine.exists(index=products, id="7001"))
    left = sql.execute("SELECT follow_cursor::json->>'done' FROM search_outbox_events WHERE follow = 0")
    assert left.fetchone() in {("2000",), ("3000",), ("4000",)}, "half a page at a time, one page at most"
    eventually(lambda: sql.execute(NOT_DONE).fetchone() == (0,))
    engine.indices.refresh(index=products)
    assert engine.count(index=products)["count"] == 5_001


def test_killed_in_the_middle_it_loses_nothing(
    products: str,
    worker: Callable[..., Worker],
    cli: Cli,
    sql: psycopg.Connection,
    engine: Elasticsearch,
) -> None:
    shop.waiting(sql, {"id": "1"})
    first = worker(OUTBOX_BULK_SIZE="100", OUTBOX_CONCURRENCY="1", OUTBOX_LEASE_SECONDS="1")
    written = "SELECT count(*) FROM search_outbox_events WHERE entity_key IS NOT NULL AND follow IS NULL"
    eventually(lambda: sql.execute(written).fetchone() == (follow_pages.PAGE,))
    first.process.kill()
    first.wait()
    eventually(lambda: sql.execute(LEASED).fetchone() == (0,), what="its batch can be claimed again")
    # As if it had died between its claim and its page.
    sql.execute(
        "UPDATE search_outbox_events SET status = 'processing', lease_until = now() - interval '1 s',"
        " processing_started_at = now(), next_retry_at = NULL WHERE follow = 0"
    )
    cli.ok("worker", "--drain")
    assert sql.execute(NOT_DONE).fetchone() == (0,)
    engine.indices.refresh(index=products)
    assert engine.count(index=products)["count"] == 5_000


def test_a_truncated_table_leaves_no_document_that_no_search_finds_yet(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    engine.indices.put_settings(index=products, settings={"index.refresh_interval": "-1"})
    shop.changed(sql, 7001)
    drained(cli, sql)
    assert engine.exists(index=products, id="7001")
    sql.execute("TRUNCATE shop.products CASCADE")
    shop.waiting(sql, "", follow=-1)
    drained(cli, sql)
    assert shop.held(engine, products) == {}
