"""A small shop for the drills of projections: its tables beside the outbox, and what an application writes.

A document is a product with its price in euros, the name of its category, and the stars of its reviews. A
category that is not published hides its products. `Shop.execute` runs one of the statements below.
"""

import json
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Identifier

from outboxctl.core.projections.changes import outbox_schema, run
from outboxctl.core.projections.version_base import SERIAL
from outboxctl.core.sql import Connection

TABLES = """
CREATE TABLE {schema}.shop_categories (id int PRIMARY KEY, name text NOT NULL, published boolean NOT NULL);
CREATE TABLE {schema}.shop_rates (currency text PRIMARY KEY, rate numeric NOT NULL);
CREATE TABLE {schema}.shop_products (
    id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL,
    currency text NOT NULL REFERENCES {schema}.shop_rates,
    category_id int NOT NULL REFERENCES {schema}.shop_categories
);
CREATE INDEX ON {schema}.shop_products (category_id, id);
CREATE TABLE {schema}.shop_reviews (
    id bigserial PRIMARY KEY, stars int NOT NULL,
    product_id int NOT NULL REFERENCES {schema}.shop_products ON DELETE CASCADE
);
CREATE INDEX ON {schema}.shop_reviews (product_id, id);
CREATE VIEW {schema}.shop_documents AS
SELECT p.id, p.name, round(p.price / r.rate, 2) AS euros, c.name AS category,
    (SELECT json_agg(v.stars ORDER BY v.id) FROM {schema}.shop_reviews v WHERE v.product_id = p.id) AS stars
FROM {schema}.shop_products p
JOIN {schema}.shop_categories c ON c.id = p.category_id
JOIN {schema}.shop_rates r USING (currency)
WHERE c.published;
INSERT INTO {schema}.shop_rates VALUES ('EUR', 1), ('USD', 1.25);
"""
CATEGORY = """
INSERT INTO {schema}.shop_categories VALUES (%(id)s, %(name)s, %(published)s)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, published = EXCLUDED.published
"""
RATE = """
INSERT INTO {schema}.shop_rates VALUES (%(currency)s, %(rate)s)
ON CONFLICT (currency) DO UPDATE SET rate = EXCLUDED.rate
"""
# Ids from `first` to `last`, but those that are there.
PRODUCTS = """
INSERT INTO {schema}.shop_products
SELECT n, concat('product ', n), 1 + n %% 90, %(currency)s, %(category)s
FROM generate_series(CAST(%(first)s AS int), CAST(%(last)s AS int)) n
ON CONFLICT (id) DO NOTHING
"""
RENAME = "UPDATE {schema}.shop_products SET name = %(name)s WHERE id BETWEEN %(first)s AND %(last)s"
MOVE_PRODUCT = "UPDATE {schema}.shop_products SET category_id = %(category)s WHERE id = %(id)s"
CHANGE_KEY = """
UPDATE {schema}.shop_products SET id = %(new)s
WHERE id = %(id)s AND NOT EXISTS (SELECT FROM {schema}.shop_reviews WHERE product_id = %(id)s)
    AND NOT EXISTS (SELECT FROM {schema}.shop_products WHERE id = %(new)s)
"""
DELETE_PRODUCT = "DELETE FROM {schema}.shop_products WHERE id = %(id)s"
REVIEW = """
INSERT INTO {schema}.shop_reviews (product_id, stars)
SELECT id, %(stars)s FROM {schema}.shop_products WHERE id = %(id)s
"""
MOVE_REVIEWS = """
UPDATE {schema}.shop_reviews SET product_id = %(new)s
WHERE product_id = %(id)s AND EXISTS (SELECT FROM {schema}.shop_products WHERE id = %(new)s)
"""
STARS = "UPDATE {schema}.shop_reviews SET stars = %(stars)s WHERE product_id = %(id)s"
DELETE_REVIEWS = "DELETE FROM {schema}.shop_reviews WHERE product_id = %(id)s"
DOCUMENTS = "SELECT CAST(id AS text), CAST(to_json(d) AS text) FROM {schema}.shop_documents d"
DECLARATION = """\
[projections.{name}]
root = "{schema}.shop_products"
key = "id"
document = "{schema}.shop_documents"
index = "{index}"
ignore = ["{schema}.shop_rates"]  # a rate that changes is none of the documents' changes
"""
# Documents of others that were sent between the commit of one event and its own settlement. Without
# statistics a join would read the whole table for each row of it.
SENT_BEFORE = """
WITH own AS MATERIALIZED (
    SELECT min(created_at) AS since, max(processed_at) AS until FROM search_outbox_events
    WHERE entity_type = %(name)s AND entity_key = %(key)s AND follow IS NULL
)
SELECT count(*) FROM search_outbox_events
WHERE entity_type = %(name)s AND entity_key <> %(key)s AND follow IS NULL AND status = 'done'
    AND processed_at BETWEEN (SELECT since FROM own) AND (SELECT until FROM own)
"""


@dataclass(frozen=True)
class Shop:
    """The shop in a schema, that of the outbox."""

    schema: str

    @classmethod
    def make(cls, connection: Connection) -> "Shop":
        """Make its tables, empty but for two rates."""
        shop = cls(outbox_schema(connection))
        run(connection, [shop.composed(TABLES)])
        return shop

    def execute(self, connection: Connection, statement: str, **values: Any) -> int:
        """Run one of the statements of this module; returns how many rows it changed."""
        return int(connection.exec_driver_sql(self.composed(statement), values).rowcount)

    def documents(self, connection: Connection) -> dict[str, Any]:
        """Every row of the view by its id, as PostgreSQL prints it in JSON."""
        rows = connection.exec_driver_sql(self.composed(DOCUMENTS))
        return {id_: json.loads(row) for id_, row in rows}

    def composed(self, statement: str) -> str:
        """The statement with the schema's name."""
        return SQL(statement).format(schema=Identifier(self.schema)).as_string()


def sent_before(connection: Connection, name: str, key: str) -> int:
    """How many events of a projection were settled while the only event of this key waited."""
    return int(connection.exec_driver_sql(SENT_BEFORE, {"name": name, "key": key}).scalar_one())


def serial(connection: Connection) -> int:
    """The number of transactions that this server has finished (version_base.py)."""
    return int(connection.exec_driver_sql(f"SELECT {SERIAL}").scalar_one())
