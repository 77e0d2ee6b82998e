"""Events of many rows: a worker finds the documents of all, and what is at fault pays alone."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from outboxctl.domain.projection import DOCUMENTS, Follow, Relation
from processes import Cli
from servers import an_index

ROWS = """
INSERT INTO shop.categories SELECT n, 'c' || n FROM generate_series(1, 40) n;
INSERT INTO shop.products SELECT n, 'p', 1, 1, n FROM generate_series(1, 40) n;
"""
QUERY = "SELECT p.id FROM shop.products p WHERE p.category_id = :id"
RAISES_FOR_7 = f"{QUERY} AND 1 / (:id - 7) IS NOT NULL"
ENDS = "SELECT status, error_reason, count(*) FROM search_outbox_events {} GROUP BY 1, 2 ORDER BY 1"
FOLLOWS = ENDS.format("WHERE follow IS NOT NULL")


@pytest.fixture
def products(engine: Elasticsearch, sql: psycopg.Connection) -> Iterator[str]:
    """Forty products, each in a category of its own, and an index."""
    sql.execute(shop.SCHEMA)
    sql.execute(ROWS)
    with an_index(engine) as name:
        yield name


def followed(db: Database, index: str, query: str) -> None:
    """Put the projection in force that follows the categories by this query."""
    table = Relation("shop", "categories")
    follow = Follow(table, keys=query, parameters=("id",), types=("pg_catalog.int4",))
    shop.put_in_force(db, shop.product(index, follow=(follow,)))


def waiting(sql: psycopg.Connection, *contents: object, follow: int = 0) -> None:
    """Events as a statement of many rows writes them."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in contents]
    shop.changed(sql, *texts, follow=follow)
    sql.execute("UPDATE search_outbox_events SET next_retry_at = 'infinity' WHERE follow IS NOT NULL")


def ids(*ranges: range) -> list[dict[str, list[str]]]:
    """The contents of an event for each range of changed rows."""
    return [{"id": [str(n) for n in each]} for each in ranges]


def test_all_documents_behind_the_rows_are_delivered(
    products: str, db: Database, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    followed(db, products, QUERY)
    waiting(sql, *ids(range(1, 21), range(15, 31), range(30, 31)), {"id": "31"})
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {str(n) for n in range(1, 32)}
    assert sql.execute(FOLLOWS).fetchall() == [("done", None, 4)]


def test_a_row_for_which_the_query_raises_fails_alone(
    products: str, db: Database, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    followed(db, products, RAISES_FOR_7)
    waiting(sql, *ids(range(1, 41)))
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {str(n) for n in range(1, 41) if n != 7}
    assert sql.execute(FOLLOWS).fetchall() == [("done", None, 40), ("failed", "bad_document", 1)]
    failed = sql.execute("SELECT entity_key FROM search_outbox_events WHERE status = 'failed'").fetchall()
    assert [json.loads(key) for (key,) in failed] == [{"id": "7"}]


def test_an_event_that_names_documents_becomes_one_of_each(
    products: str, db: Database, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    followed(db, products, QUERY)
    waiting(sql, ["1", "2", "1", "99"], ["3"], follow=DOCUMENTS)
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {"1", "2", "3"}
    assert sql.execute(ENDS.format("")).fetchall() == [("done", None, 2 + 4)]


@pytest.mark.parametrize("content", ['{"id": ["1"', '{"id": ["1"], "x": ["1", "2"]}', "[1]", "1", "{}"])
def test_an_event_that_no_trigger_writes_fails_alone(
    products: str, db: Database, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, content: str
) -> None:
    followed(db, products, QUERY)
    waiting(sql, content, follow=DOCUMENTS)
    waiting(sql, *ids(range(1, 3)))
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {"1", "2"}
    assert sql.execute(FOLLOWS).fetchall() == [("done", None, 1), ("failed", "deterministic_exception", 1)]
