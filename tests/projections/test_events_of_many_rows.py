"""Events of many rows: a worker finds the documents of all, and what is at fault pays alone."""

import json
from collections.abc import Callable

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from outboxctl.core.projections.follow_pages import HALF
from outboxctl.domain.projection import DOCUMENTS
from processes import Cli

ROWS = """
INSERT INTO shop.categories SELECT n, 'c' || n FROM generate_series(1, 40) n;
INSERT INTO shop.products SELECT n, 'p', 1, 1, n FROM generate_series(1, 40) n;
"""
RAISES_FOR_7 = f"{shop.by_category().keys} AND 1 / (:id - 7) IS NOT NULL"
ENDS = "SELECT status, error_reason, count(*) FROM search_outbox_events {} GROUP BY 1, 2 ORDER BY 1"
FOLLOWS = ENDS.format("WHERE follow IS NOT NULL")


@pytest.fixture
def followed(products: str, db: Database, sql: psycopg.Connection) -> Callable[..., object]:
    """Forty products, each in a category of its own; puts a projection in force that follows these."""
    sql.execute(ROWS)
    return lambda *query: shop.put_in_force(db, shop.product(products, follow=(shop.by_category(*query),)))


def ids(*ranges: range) -> list[dict[str, list[str]]]:
    """The contents of an event for each range of changed rows."""
    return [{"id": [str(n) for n in each]} for each in ranges]


def test_all_documents_behind_the_rows_are_delivered(
    products: str, followed: Callable[..., object], cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    followed()
    shop.waiting(sql, *ids(range(1, 21), range(15, 31), range(30, 31)), {"id": "31"})
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {str(n) for n in range(1, 32)}
    assert sql.execute(FOLLOWS).fetchall() == [("done", None, 4)]


def test_a_row_for_which_the_query_raises_fails_alone(
    products: str, followed: Callable[..., object], cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    followed(RAISES_FOR_7)
    shop.waiting(sql, *ids(range(1, 41)))
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {str(n) for n in range(1, 41) if n != 7}
    assert sql.execute(FOLLOWS).fetchall() == [("done", None, 40), ("failed", "bad_document", 1)]
    failed = sql.execute("SELECT entity_key FROM search_outbox_events WHERE status = 'failed'").fetchall()
    assert [json.loads(key) for (key,) in failed] == [{"id": "7"}]


def test_an_event_that_names_documents_becomes_one_of_each(
    products: str, followed: Callable[..., object], cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    followed()
    shop.waiting(sql, ["1", "2", "1", "99"], ["3"], follow=DOCUMENTS)
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {"1", "2", "3"}
    assert sql.execute(ENDS.format("")).fetchall() == [("done", None, 2 + 4)]


def test_documents_that_many_events_name_are_written_once(
    products: str, followed: Callable[..., object], cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    followed()
    named = [[str(n) for n in range(first, first + 500)] for first in range(1, 2 * HALF, 100)]
    shop.waiting(sql, *named, follow=DOCUMENTS)
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {str(n) for n in range(1, 41)}
    lengths = sql.execute(
        "SELECT CASE WHEN follow IS NULL THEN 1 ELSE json_array_length(entity_key::json) END"
        " FROM search_outbox_events WHERE status = 'done'"
    )
    once = 2 * HALF + 400
    assert once <= sum(length for (length,) in lengths if length not in {500, once}) < 2 * once


@pytest.mark.parametrize("content", ['{"id": ["1"', '{"id": ["1"], "x": ["1", "2"]}', "[1]", "1", "{}"])
def test_an_event_that_no_trigger_writes_fails_alone(
    products: str,
    followed: Callable[..., object],
    cli: Cli,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    content: str,
) -> None:
    followed()
    shop.waiting(sql, content, follow=DOCUMENTS)
    shop.waiting(sql, *ids(range(1, 3)))
    cli.ok("worker", "--drain")
    assert shop.held(engine, products).keys() == {"1", "2"}
    assert sql.execute(FOLLOWS).fetchall() == [("done", None, 1), ("failed", "deterministic_exception", 1)]
