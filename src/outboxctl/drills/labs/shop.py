"""Tables, view and declaration of the lab of projections: products in categories, which may be hidden."""

import json
from typing import Any

from psycopg.sql import SQL, Identifier

from outboxctl.core.projections.changes import outbox_schema, run
from outboxctl.core.sql import Connection

NAME = "product"
TABLES = """
CREATE TABLE {schema}.shop_categories (id int PRIMARY KEY, name text NOT NULL, published boolean NOT NULL);
CREATE TABLE {schema}.shop_products (
    id int PRIMARY KEY, name text NOT NULL, category_id int NOT NULL REFERENCES {schema}.shop_categories
);
CREATE INDEX ON {schema}.shop_products (category_id, id);
CREATE VIEW {schema}.shop_documents AS
SELECT p.id, p.name, c.name AS category
FROM {schema}.shop_products p JOIN {schema}.shop_categories c ON c.id = p.category_id
WHERE c.published;
INSERT INTO {schema}.shop_categories VALUES (1, 'tea', true), (2, 'pots', false);
"""
PUBLISHED, HIDDEN = 1, 2  # categories
PUBLISH = "UPDATE {schema}.shop_categories SET published = true WHERE id = %(category)s"
PRODUCTS = """
INSERT INTO {schema}.shop_products SELECT n, concat('product ', n), %(category)s
FROM generate_series(CAST(%(first)s AS int), CAST(%(last)s AS int)) n
"""
DOCUMENTS = "SELECT CAST(id AS text), CAST(to_json(d) AS text) FROM {schema}.shop_documents d"
DECLARATION = """\
[projections.{name}]
root = "{schema}.shop_products"
key = "id"
document = "{schema}.shop_documents"
index = "{index}"
"""
# Documents of others that were sent between the commit of one event and its own settlement. Without
# statistics a join would read the whole table for each row of it.
SENT_BEFORE = """
WITH own AS MATERIALIZED (
    SELECT min(created_at) AS since, max(processed_at) AS until FROM {schema}.search_outbox_events
    WHERE entity_type = %(name)s AND entity_key = %(key)s AND follow IS NULL
)
SELECT count(*) FROM {schema}.search_outbox_events
WHERE entity_type = %(name)s AND entity_key <> %(key)s AND follow IS NULL AND status = 'done'
    AND processed_at BETWEEN (SELECT since FROM own) AND (SELECT until FROM own)
"""


def make(connection: Connection) -> None:
    """Make the tables and the view, with two categories."""
    run(connection, [_composed(connection, TABLES)])


def execute(connection: Connection, statement: str, **values: Any) -> Any:
    """Run one of the statements of this module."""
    return connection.exec_driver_sql(_composed(connection, statement), values)


def documents(connection: Connection) -> dict[str, Any]:
    """Every row of the view by its id, as PostgreSQL prints it in JSON."""
    return {id_: json.loads(row) for id_, row in execute(connection, DOCUMENTS)}


def declaration(connection: Connection, index: str) -> str:
    """The declaration of the projection, as a file has it."""
    return DECLARATION.format(name=NAME, schema=outbox_schema(connection), index=index)


def sent_before(connection: Connection, key: str) -> int:
    """How many events were settled while the only event of this key waited."""
    return int(execute(connection, SENT_BEFORE, name=NAME, key=key).scalar_one())


def _composed(connection: Connection, statement: str) -> str:
    return SQL(statement).format(schema=Identifier(outbox_schema(connection))).as_string()
