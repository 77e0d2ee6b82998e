"""One changed row with many documents behind it: one event, expanded by the worker in pages."""

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from outboxctl.core.projections import follow_pages, follow_query
from outboxctl.domain.projection import Follow, Projection, Relation
from processes import Cli, Worker, eventually
from servers import an_index

NOT_DONE = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
LEASED = "SELECT count(*) FROM search_outbox_events WHERE lease_until > now()"
BY_CATEGORY = Follow(
    Relation("shop", "categories"),
    keys="SELECT p.id FROM shop.products p WHERE p.category_id = :id -- ':not'\n",
    parameters=("id",),
)


@pytest.fixture
def products(engine: Elasticsearch, db: Database, sql: psycopg.Connection) -> Iterator[Projection]:
    """A category with 5,000 products, and one with two; no event yet."""
    sql.execute(shop.SCHEMA)
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea'), (2, 'pots')")
    sql.execute("INSERT INTO shop.products SELECT n, 'p', 1, 1, 1 FROM generate_series(1, 5000) n")
    sql.execute("INSERT INTO shop.products VALUES (7001, 'p', 1, 1, 2), (7002, 'p', 1, 1, 2)")
    with an_index(engine) as name:
        yield shop.put_in_force(db, shop.product(name, follow=(BY_CATEGORY,)))


def drained(cli: Cli, sql: psycopg.Connection) -> None:
    """Drain until every event is settled: on a busy machine a batch may need a retry."""
    eventually(lambda: cli("worker", "--drain").returncode == 0 and sql.execute(NOT_DONE).fetchone() == (0,))


def changed_category(sql: psycopg.Connection, id_: object, *, place: int = 0) -> None:
    """The event of a category that has changed."""
    shop.changed(sql, json.dumps({"id": str(id_)}) if place >= 0 else "", follow=place)
    sql.execute(
        "UPDATE search_outbox_events SET next_retry_at = 'infinity' WHERE follow IS NOT NULL"
        " AND status = 'pending' AND follow_cursor IS NULL"
    )


def test_all_documents_behind_a_row_are_sent_in_pages(
    products: Projection, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    changed_category(sql, 1)
    changed_category(sql, 1)
    drained(cli, sql)
    engine.indices.refresh(index=products.index)
    assert engine.count(index=products.index)["count"] == 5_000
    counted = "SELECT count(*), count(follow) FROM search_outbox_events WHERE status = 'done'"
    assert sql.execute(counted).fetchone() == (5_002, 2), "each key once: both events are expanded together"


@pytest.mark.slow(reason="thousands of documents, 50 a batch")
def test_fresh_events_of_others_do_not_wait_for_all_pages(
    products: Projection, worker: Callable[..., Worker], sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    changed_category(sql, 1)
    worker(OUTBOX_BULK_SIZE="50", OUTBOX_CONCURRENCY="1")
    written = "SELECT count(*) FROM search_outbox_events WHERE entity_key IS NOT NULL AND follow IS NULL"
    eventually(lambda: sql.execute(written).fetchone() == (follow_pages.PAGE,))
    shop.changed(sql, 7001)
    eventually(lambda: engine.exists(index=products.index, id="7001"))
    left = sql.execute("SELECT follow_cursor::json->>'done' FROM search_outbox_events WHERE follow = 0")
    assert left.fetchone() in {("2000",), ("3000",), ("4000",)}, "half a page at a time, one page at most"
    eventually(lambda: sql.execute(NOT_DONE).fetchone() == (0,))
    engine.indices.refresh(index=products.index)
    assert engine.count(index=products.index)["count"] == 5_001


def test_killed_in_the_middle_it_loses_nothing(
    products: Projection,
    worker: Callable[..., Worker],
    cli: Cli,
    sql: psycopg.Connection,
    engine: Elasticsearch,
) -> None:
    changed_category(sql, 1)
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
    engine.indices.refresh(index=products.index)
    assert engine.count(index=products.index)["count"] == 5_000


def test_a_truncated_table_leaves_no_document_that_no_search_finds_yet(
    products: Projection, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    engine.indices.put_settings(index=products.index, settings={"index.refresh_interval": "-1"})
    shop.changed(sql, 7001)
    drained(cli, sql)
    assert engine.exists(index=products.index, id="7001")
    sql.execute("TRUNCATE shop.products CASCADE")
    changed_category(sql, 0, place=-1)
    drained(cli, sql)
    assert shop.held(engine, products.index) == {}


@pytest.mark.slow(reason="thousands of documents, twice")
def test_every_document_is_read_again_once(
    products: Projection, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    changed_category(sql, 1)
    drained(cli, sql)
    sql.execute("TRUNCATE search_outbox_events")
    sql.execute("UPDATE shop.products SET name = 'again'")
    sql.execute("DELETE FROM shop.products WHERE id <= 3")  # no trigger: only the index has them
    changed_category(sql, 0, place=-1)
    drained(cli, sql)
    assert {document["name"] for document in shop.held(engine, products.index).values()} == {"again"}
    engine.indices.refresh(index=products.index)
    assert engine.count(index=products.index)["count"] == 4_999
    sent = sql.execute(
        "SELECT count(*), count(DISTINCT entity_key) FROM search_outbox_events WHERE follow IS NULL"
    )
    assert sent.fetchone() == (5_002, 5_002)


def test_an_id_of_the_index_that_is_no_key_hides_no_other(
    products: Projection, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    shop.changed(sql, 7001)
    drained(cli, sql)
    engine.index(index=products.index, id="no number", document={}, version=1, version_type="external_gte")
    sql.execute("DELETE FROM shop.products")
    changed_category(sql, 0, place=-1)
    drained_but_for = "SELECT count(*) FROM search_outbox_events WHERE status NOT IN ('done', 'failed')"
    eventually(lambda: cli("worker", "--drain") and sql.execute(drained_but_for).fetchone() == (0,))
    assert set(shop.held(engine, products.index)) == {"no number"}


@pytest.mark.parametrize(
    ("key", "place", "reason", "words"),
    [
        ('{"id": "x"}', 0, "bad_document", "invalid input syntax"),
        ("[1]", 0, "deterministic_exception", "not a JSON object"),
        ("{", 0, "deterministic_exception", "fit the projection"),
    ],
)
def test_an_event_that_cannot_be_expanded_fails_with_words(
    products: Projection,
    cli: Cli,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    key: str,
    place: int,
    reason: str,
    words: str,
) -> None:
    shop.changed(sql, key, follow=place)
    sql.execute("UPDATE search_outbox_events SET next_retry_at = 'infinity'")
    shop.changed(sql, 7001)
    cli.ok("worker", "--drain")
    (failed,) = [row for row in shop.rows(sql) if row[0] == "failed"]
    assert failed[1] == reason
    assert words in failed[2]
    assert shop.held(engine, products.index).keys() == {"7001"}


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("query", "bound", "names"),
    [
        ("SELECT a WHERE b = :id", "SELECT a WHERE b = %(p0)s", ["id"]),
        (
            "SELECT a WHERE :n IS NULL OR :n = a",
            "SELECT a WHERE CAST(%(p0)s AS pg_catalog.int4) IS NULL OR CAST(%(p0)s AS pg_catalog.int4) = a",
            ["n"],
        ),
        ("SELECT a::int, ':x', \":y\" -- :z\n", "SELECT a::int, ':x', \":y\" -- :z", []),
        (
            "SELECT $$ :x $$, $t$ :y $t$ /* :z */ WHERE :a_1 = :a_1;",
            "SELECT $$ :x $$, $t$ :y $t$ /* :z */ WHERE %(p0)s = %(p0)s",
            ["a_1"],
        ),
        (
            "SELECT '50%' WHERE c % 2 = :n",
            "SELECT '50%%' WHERE c %% 2 = CAST(%(p0)s AS pg_catalog.int4)",
            ["n"],
        ),
    ],
)
def test_the_parameters_of_a_query(query: str, bound: str, names: list[str]) -> None:
    assert follow_query.bound(query, {"n": "pg_catalog.int4"}) == (bound, names)
