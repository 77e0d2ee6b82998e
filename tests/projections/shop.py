"""A small shop: products with reviews and categories, one projection of them, and its events by hand."""

import json
from collections.abc import Sequence
from typing import Any

import psycopg
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.core.projections import version_base
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import KeyColumn, Projection, Relation

SCHEMA = """
CREATE SCHEMA shop;
CREATE TABLE shop.categories (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE shop.products (id bigint PRIMARY KEY, name text NOT NULL, price numeric(10, 2), divisor int,
    category_id int REFERENCES shop.categories, published boolean NOT NULL DEFAULT true);
CREATE TABLE shop.reviews (id bigserial PRIMARY KEY,
    product_id bigint REFERENCES shop.products ON DELETE CASCADE, stars int, body text);
CREATE INDEX ON shop.reviews (product_id);
CREATE INDEX ON shop.products (category_id);
CREATE VIEW shop.product_documents AS
SELECT p.id, p.name, p.price, c.name AS category, 100 / p.divisor AS share,
    (SELECT coalesce(json_agg(json_build_object('stars', r.stars, 'body', r.body) ORDER BY r.id), '[]')
     FROM shop.reviews r WHERE r.product_id = p.id) AS reviews
FROM shop.products p LEFT JOIN shop.categories c ON c.id = p.category_id
WHERE p.published;
"""
DECLARE = text("""
INSERT INTO outbox_projections (name, definition, applied_by)
VALUES (:name, CAST(:definition AS jsonb), 'test')
ON CONFLICT (name) DO UPDATE SET definition = EXCLUDED.definition, applied_at = now()
""")
EVENT = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, entity_key, follow)
SELECT %(name)s::text, md5(%(name)s::text || ':' || key)::uuid, 'upsert', key, %(follow)s::smallint
FROM unnest(%(keys)s::text[]) key
"""


def product(index: str, **more: Any) -> Projection:
    """The projection `product`, of all products that are published."""
    return Projection(
        "product",
        Relation("shop", "products"),
        (KeyColumn("id", "pg_catalog.int8"),),
        Relation("shop", "product_documents"),
        index,
        **more,
    )


def put_in_force(db: Database, projection: Projection) -> Projection:
    """As `apply` does, without triggers."""
    with db.begin() as connection:
        declare(connection, projection)
    with db.begin() as connection:
        version_base.raise_base(connection)
    return projection


def declare(connection: Connection, projection: Projection) -> None:
    """Write the declaration, and no event."""
    values = {"name": projection.name, "definition": json.dumps(projection.to_json())}
    connection.execute(DECLARE, values)


def changed(sql: psycopg.Connection, *keys: object, name: str = "product", follow: int | None = None) -> None:
    """Write the events of these keys."""
    sql.execute(EVENT, {"name": name, "keys": [str(key) for key in keys], "follow": follow})


def held(engine: Elasticsearch, index: str) -> dict[str, dict[str, Any]]:
    """The documents of an index by id."""
    engine.indices.refresh(index=index)
    hits = engine.search(index=index, size=1_000)["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def rows(sql: psycopg.Connection) -> Sequence[tuple[Any, ...]]:
    """Status, reason and error of each event."""
    query = "SELECT status, error_reason, error FROM search_outbox_events ORDER BY created_at"
    return sql.execute(query).fetchall()
