"""The sample shop of the tests: its tables and views, the projection of its products, and events by hand.

Sessions that write to it at random are in `shop.sessions`; `shop.past` judges what was seen of a document.
"""

import json
from collections.abc import Sequence
from typing import Any

import psycopg
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.core.projections import version_base
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Follow, KeyColumn, Projection, Relation

# Each version of a row has a number of its own, `rev`, in the order of commits: who changes a row locks it.
SCHEMA = """
CREATE SCHEMA shop;
CREATE SEQUENCE shop.revisions;
CREATE TABLE shop.categories (id int PRIMARY KEY, name text NOT NULL DEFAULT '',
    rev bigint NOT NULL DEFAULT nextval('shop.revisions'));
CREATE TABLE shop.products (id bigint PRIMARY KEY, name text NOT NULL DEFAULT '', price numeric(10, 2),
    divisor int, category_id int REFERENCES shop.categories ON DELETE SET NULL ON UPDATE CASCADE,
    published boolean NOT NULL DEFAULT true, rev bigint NOT NULL DEFAULT nextval('shop.revisions'));
CREATE TABLE shop.reviews (id bigserial PRIMARY KEY,
    product_id bigint REFERENCES shop.products ON DELETE CASCADE ON UPDATE CASCADE, stars int, body text,
    rev bigint NOT NULL DEFAULT nextval('shop.revisions'));
CREATE TABLE shop.offers (id bigserial PRIMARY KEY,
    product_id bigint REFERENCES shop.products ON DELETE SET NULL ON UPDATE CASCADE, price numeric(10, 2),
    rev bigint NOT NULL DEFAULT nextval('shop.revisions'));
CREATE INDEX ON shop.reviews (product_id);
CREATE INDEX ON shop.offers (product_id);
CREATE INDEX ON shop.products (category_id);
CREATE VIEW shop.product_documents AS
SELECT p.id, p.name, p.price, c.name AS category, 100 / p.divisor AS share,
    (SELECT coalesce(json_agg(json_build_object('stars', r.stars, 'body', r.body) ORDER BY r.id), '[]')
     FROM shop.reviews r WHERE r.product_id = p.id) AS reviews
FROM shop.products p LEFT JOIN shop.categories c ON c.id = p.category_id
WHERE p.published;
CREATE VIEW shop.product_revisions AS SELECT p.id, p.rev,
    (SELECT json_object_agg('category ' || c.id, c.rev) FROM shop.categories c WHERE c.id = p.category_id)
        AS categories,
    (SELECT json_object_agg('review ' || r.id, r.rev) FROM shop.reviews r WHERE r.product_id = p.id)
        AS reviews,
    (SELECT json_object_agg('offer ' || o.id, o.rev) FROM shop.offers o WHERE o.product_id = p.id) AS offers
FROM shop.products p WHERE p.published;
"""
DECLARATION = """
[projections.product]
root = "shop.products"
key = "id"
document = "shop.product_revisions"
index = "{index}"
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
    document = more.pop("document", Relation("shop", "product_documents"))
    key = (KeyColumn("id", "pg_catalog.int8"),)
    return Projection("product", Relation("shop", "products"), key, document, index, **more)


def by_category(keys: str = "SELECT p.id FROM shop.products p WHERE p.category_id = :id") -> Follow:
    """Categories, followed by this query."""
    return Follow(Relation("shop", "categories"), keys=keys, parameters=("id",), types=("pg_catalog.int4",))


def revisions(index: str) -> Projection:
    """The projection of what each product and the rows beside it were changed to last."""
    children = [Follow(Relation("shop", name), key=("product_id",)) for name in ("reviews", "offers")]
    follow = (*children, by_category())
    return product(index, follow=follow, document=Relation("shop", "product_revisions"))


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


def waiting(sql: psycopg.Connection, *contents: object, follow: int = 0) -> None:
    """Follow events of these contents, as triggers write them: due for nobody but who expands them."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in contents]
    changed(sql, *texts, follow=follow)
    sql.execute(
        "UPDATE search_outbox_events SET next_retry_at = 'infinity' WHERE follow IS NOT NULL"
        " AND status = 'pending' AND follow_cursor IS NULL"
    )


def documents(
    sql: psycopg.Connection, view: object = "shop.product_documents", key: str = "id"
) -> dict[str, Any]:
    """What an index has to hold: the rows of a view by their key."""
    found = sql.execute(f"SELECT {key}::text, to_json(v)::text FROM {view} v".encode())
    return {id_: json.loads(row) for id_, row in found}


def held(engine: Elasticsearch, index: str) -> dict[str, dict[str, Any]]:
    """The documents of an index of at most 10,000 by id."""
    engine.indices.refresh(index=index)
    hits = engine.search(index=index, size=10_000)["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def rows(sql: psycopg.Connection) -> Sequence[tuple[Any, ...]]:
    """Status, reason and error of each event."""
    query = "SELECT status, error_reason, error FROM search_outbox_events ORDER BY created_at"
    return sql.execute(query).fetchall()
