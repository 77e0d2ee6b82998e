"""Products in an index for each country, and a plain script that says where each has to be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from elasticsearch import Elasticsearch

from processes import Cli, eventually
from projections.store import WHO

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.products (id bigint PRIMARY KEY, country text, name text);
CREATE TABLE shop.reviews (id bigserial PRIMARY KEY,
    product_id bigint REFERENCES shop.products ON DELETE CASCADE ON UPDATE CASCADE, stars int);
CREATE INDEX ON shop.reviews (product_id);
CREATE VIEW shop.documents AS SELECT p.id, p.country, p.name,
    (SELECT count(*) FROM shop.reviews r WHERE r.product_id = p.id) AS reviews FROM shop.products p
"""
FILE = """
[projections.product]
root = "shop.products"
key = "id"
document = "shop.documents"
index = "{index}-{{country}}"
"""
Held = dict[tuple[str, str], list[dict[str, Any]]]


@dataclass
class Lands:
    """The tables, the engine, the commands; `name` is what the indexes' names begin with."""

    sql: psycopg.Connection
    engine: Elasticsearch
    cli: Cli
    name: str
    file: Path

    def apply(self) -> None:
        """Put the file in force."""
        self.cli.ok("projection", "apply", str(self.file), *WHO)

    def drain(self) -> None:
        """Deliver all that waits, whatever it waits for."""
        self.sql.execute("UPDATE search_outbox_events SET next_retry_at = NULL WHERE follow IS NULL")
        self.cli("worker", "--drain")

    def there(self) -> list[str]:
        """The countries that have an index."""
        aliases = self.engine.indices.get_alias(index=f"{self.name}-*").body.values()
        names = sorted(alias for each in aliases for alias in each["aliases"])
        return [name.removeprefix(f"{self.name}-") for name in names]

    def held(self) -> Held:
        """By country and id, what the indexes have; a document may be in several of them."""
        found: Held = {}
        for country in self.there():
            alias = f"{self.name}-{country}"
            self.engine.indices.refresh(index=alias)
            for hit in self.engine.search(index=alias, size=1_000)["hits"]["hits"]:
                found.setdefault((country, hit["_id"]), []).append(hit["_source"])
        return found

    def rows(self) -> Held:
        """What they have to have."""
        rows = self.sql.execute("SELECT to_jsonb(d) FROM shop.documents d WHERE country ~ '^[a-z]{1,9}$'")
        return {(row["country"], str(row["id"])): [row] for (row,) in rows}

    def check(self, *, within: float = 60) -> None:
        """Every document is in the index of its row's country, as the row is, and nowhere else."""
        eventually(lambda: self.held() == self.rows(), within=within)

    def failed(self) -> list[tuple[str, str]]:
        """Reason and error of the events that failed."""
        return self.sql.execute(
            "SELECT error_reason, error FROM search_outbox_events WHERE status = 'failed' ORDER BY error"
        ).fetchall()
