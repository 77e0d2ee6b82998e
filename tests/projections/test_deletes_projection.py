"""Deletes of projected documents are sent again, to every shard that may hold a copy."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Database
from processes import Cli

pytestmark = pytest.mark.slow(reason="deletes that are sent again")

LEFT = "SELECT projection, document_id FROM outbox_deletes ORDER BY document_id"
AGE = "UPDATE outbox_deletes SET due_at = now(), delivered_at = now() - interval '1 day'"


@pytest.fixture(params=["", "id", "category"])
def products(products: str, request: pytest.FixtureRequest, db: Database) -> str:
    """Its projection without a routing, by its key, or by another column."""
    shop.put_in_force(db, replace(shop.product(products), routing=request.param))
    return products


def test_what_came_back_is_deleted_again_until_the_projection_is_dropped(
    products: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute("INSERT INTO shop.categories VALUES (1, 'tea')")
    sql.execute("INSERT INTO shop.products VALUES (7, 'cup', 3.50, 4, 1), (8, 'pot', 20, 5, 1)")
    shop.changed(sql, 7, 8)
    cli.ok("worker", "--drain")
    (late,) = [hit for hit in hits(engine, products) if hit["_id"] == "7"]
    sql.execute("DELETE FROM shop.products WHERE id = 7")
    shop.changed(sql, 7)
    cli.ok("worker", "--drain")
    assert sql.execute(LEFT).fetchall() == [("product", "7")]
    forgets(engine, products)
    where: dict[str, Any] = {"routing": late["_routing"]} if "_routing" in late else {}
    engine.index(
        index=products, id="7", document=late["_source"], version=1, version_type="external", **where
    )
    assert set(shop.held(engine, products)) == {"7", "8"}
    sql.execute(AGE)
    cli.ok("worker", "--drain")
    assert set(shop.held(engine, products)) == {"8"}
    assert sql.execute(LEFT).fetchall() == []


@pytest.mark.usefixtures("products")
def test_those_of_a_dropped_projection_are_forgotten(cli: Cli, sql: psycopg.Connection) -> None:
    shop.changed(sql, 7)
    cli.ok("worker", "--drain")
    assert len(sql.execute(LEFT).fetchall()) == 1
    cli.ok("projection", "drop", "product", "--by", "me", "--reason", "none", "--yes")
    assert sql.execute(LEFT).fetchall() == []


def hits(engine: Elasticsearch, index: str) -> list[Any]:
    """Documents as a search shows them, with their routing."""
    engine.indices.refresh(index=index)
    return list(engine.search(index=index, size=10)["hits"]["hits"])


def forgets(engine: Elasticsearch, index: str) -> None:
    """The index knows of no delete any more."""
    engine.indices.close(index=index)
    engine.indices.open(index=index, wait_for_active_shards="1")
