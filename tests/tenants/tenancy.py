"""Schemas of tenants with the same tables, and one declaration for all of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from elasticsearch import Elasticsearch
from psycopg.sql import SQL, Identifier

from processes import Cli

TABLES = """
CREATE TABLE {schema}.categories (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE {schema}.products (id bigint PRIMARY KEY, name text NOT NULL,
    category_id int REFERENCES {schema}.categories ON DELETE SET NULL);
CREATE TABLE {schema}.reviews (id int PRIMARY KEY,
    product_id bigint REFERENCES {schema}.products ON DELETE CASCADE, body text);
CREATE INDEX ON {schema}.reviews (product_id);
CREATE INDEX ON {schema}.products (category_id);
"""
SELECT = """
SELECT p.id, p.name, c.name AS category,
    (SELECT count(*) FROM {schema}.reviews r WHERE r.product_id = p.id) AS reviews,
    '{schema}' AS tenant
FROM {schema}.products p LEFT JOIN {schema}.categories c ON c.id = p.category_id"""
FILE = """
[projections.product]
schemas = {schemas}
root = "{{schema}}.products"
key = "id"
index = "{index}-{{schema}}"
query = '''{select}'''

[[projections.product.follow]]
table = "{{schema}}.categories"
keys = "SELECT id FROM {{schema}}.products WHERE category_id = :id"
"""
WHO = ("--by", "alice", "--reason", "tenants")


@dataclass
class Tenants:
    """The database, the commands, and the declaration file."""

    sql: psycopg.Connection
    cli: Cli
    engine: Elasticsearch
    index: str
    file: Path

    def add(self, *schemas: str, tables: str = TABLES) -> None:
        """Make schemas, each with two products."""
        for schema in schemas:
            name = Identifier(schema)
            self.sql.execute(SQL("CREATE SCHEMA {}").format(name))
            for statement in tables.split(";\n"):
                self.sql.execute(SQL(statement).format(schema=name))
            row = SQL("INSERT INTO {}.products VALUES (1, {}), (2, 'pot')")
            self.sql.execute(row.format(name, f"pan of {schema}"))

    def declare(self, *patterns: str, select: str = SELECT) -> None:
        """Write the file."""
        text = FILE.format(schemas=json.dumps(patterns), index=self.index, select=select)
        self.file.write_text(text, encoding="utf-8")

    def __call__(self, command: str, *args: str, **more: Any) -> Any:
        """`outboxctl projection COMMAND FILE …`."""
        return self.cli("projection", command, str(self.file), *args, **more)

    def apply(self) -> Any:
        """The report of an `apply` that must succeed."""
        return self.cli.json("projection", "apply", str(self.file), *WHO)

    def in_force(self) -> dict[str, str]:
        """The names of the projections in force, by schema."""
        query = "SELECT definition ->> 'schema', name FROM outbox_projections ORDER BY 1"
        return dict(self.sql.execute(query).fetchall())

    def drain(self) -> None:
        """Deliver what is due."""
        self.cli.ok("worker", "--drain")

    def judged(self, select: str = SELECT) -> dict[str, tuple[Any, Any]]:
        """Of each schema in force what it has, and what its index has, where they differ."""
        differing = {}
        for schema in self.in_force():
            index = self.index_of(schema)
            wanted, found = self.rows(schema, select), self.held(index)
            if wanted != found:
                differing[schema] = (wanted, found)
        return differing

    def rows(self, schema: str, select: str = SELECT) -> dict[str, Any]:
        """The documents of a schema, by a SELECT of our own."""
        text = SQL(select.replace("'{schema}'", "{text}")).format(schema=Identifier(schema), text=schema)
        query = SQL("SELECT id::text, to_json(v)::text FROM ({}) v").format(text)
        return {id_: json.loads(row) for id_, row in self.sql.execute(query)}

    def index_of(self, schema: str) -> str:
        """Where its documents are, as its definition says."""
        query = "SELECT definition ->> 'index' FROM outbox_projections WHERE definition ->> 'schema' = %s"
        return str(self.sql.execute(query, (schema,)).fetchone()[0])  # type: ignore[index]

    def delete_indexes(self) -> None:
        """Of all schemas."""
        for name in self.engine.indices.get(index=f"{self.index}*", expand_wildcards="all"):
            self.engine.indices.delete(index=name)

    def held(self, index: str) -> dict[str, Any]:
        """What an index has."""
        self.engine.indices.refresh(index=index)
        hits = self.engine.search(index=index, size=10_000)["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}
