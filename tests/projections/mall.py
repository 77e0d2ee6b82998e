"""Products and their reviews in one index: prefixes of ids, routing by the product, an object for a join."""

import json
import threading
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from elasticsearch import Elasticsearch

TABLES = """
CREATE SCHEMA mall;
CREATE TABLE mall.products (id bigint PRIMARY KEY, name text NOT NULL, price numeric(8, 2));
CREATE TABLE mall.reviews (
    code text PRIMARY KEY, product_id bigint REFERENCES mall.products ON DELETE CASCADE, stars int
);
CREATE INDEX ON mall.reviews (product_id);
CREATE VIEW mall.product_documents AS
SELECT id, name, price, jsonb_build_object('name', 'product') AS kind FROM mall.products;
CREATE VIEW mall.review_documents AS
SELECT code, product_id, stars,
    jsonb_build_object('name', 'review', 'parent', 'product:' || product_id) AS kind
FROM mall.reviews WHERE product_id IS NOT NULL;
"""
KEYWORD = {"type": "keyword"}
OBJECT = {"properties": {"name": KEYWORD, "parent": KEYWORD}}  # not every engine has a join field
JOIN = {"type": "join", "relations": {"product": "review"}}
FILE = """
[projections.product]
root = "mall.products"
key = "id"
document = "mall.product_documents"
index = "{index}"
id_prefix = "product:"
mapping = "mall.json"
routing = "id"

[projections.review]
root = "mall.reviews"
key = "code"
document = "mall.review_documents"
index = "{index}"
id_prefix = "review:"
mapping = "mall.json"
routing = "product_id"
"""
LONG = "é" * 260  # of more bytes than an id has room for
CODES = ["a", "a:b", "50%", "product:1", "sha256:x", "x'\"\\", "x" * 510, LONG, *map(str, range(30))]
SOME = """
INSERT INTO mall.products SELECT n, 'p' || n, n FROM generate_series(1, 20) n;
INSERT INTO mall.reviews SELECT 'r' || n, 1 + n % 20, n % 5 FROM generate_series(1, 50) n
"""
Placed = dict[str, list[tuple[str, dict[str, Any]]]]
WANTED = """
SELECT 'product:' || id, id::text, to_json(v) FROM mall.product_documents v
UNION ALL
SELECT 'review:' || CASE WHEN octet_length(code) > 505
        THEN 'sha256:' || encode(sha256(convert_to(code, 'UTF8')), 'hex') ELSE code END,
    product_id::text, to_json(v) FROM mall.review_documents v
"""


def declaration(folder: Path, index: str, kind: object = OBJECT) -> Path:
    """The file, with its mapping beside it."""
    mapping = {"settings": {"number_of_shards": 3}, "mappings": {"properties": {"kind": kind}}}
    (folder / "mall.json").write_text(json.dumps(mapping))
    (folder / "mall.toml").write_text(FILE.format(index=index))
    return folder / "mall.toml"


def wanted(sql: psycopg.Connection) -> Placed:
    """What the index shall hold: by id the routing and the document, once."""
    return {id_: [(routing, document)] for id_, routing, document in sql.execute(WANTED).fetchall()}


def placed(engine: Elasticsearch, index: str) -> Placed:
    """What it holds: every copy of each id."""
    engine.indices.refresh(index=index)
    copies: Placed = {}
    for hit in engine.search(index=index, size=10_000)["hits"]["hits"]:
        copies.setdefault(hit["_id"], []).append((hit.get("_routing", ""), hit["_source"]))
    return copies


class Session(threading.Thread):
    """Writes to both tables at random until stopped: some of it is rolled back, some refused."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(daemon=True)
        self._url, self._rng, self.acts = url, Random(seed), 0
        self._over = threading.Event()

    def run(self) -> None:
        """About 100 acts a second."""
        with psycopg.connect(self._url, autocommit=True) as sql:
            while not self._over.wait(0.01):
                with suppress(psycopg.Error, psycopg.Rollback), sql.transaction():
                    self._act(sql)
                self.acts += 1

    def stop(self) -> None:
        """End it, between two acts."""
        self._over.set()
        self.join(30)

    def _act(self, sql: psycopg.Connection) -> None:
        rng, id_, code = self._rng, self._rng.randrange(40), self._rng.choice(CODES)
        acts: list[tuple[str, tuple[Any, ...]]] = [
            (PUT_PRODUCT, (id_, f"p{rng.random()}", rng.randrange(100))),
            (PUT_REVIEW, (code, rng.choice([id_, id_, None]), rng.randrange(5))),
            ("DELETE FROM mall.products WHERE id = %s", (id_,)),
            ("DELETE FROM mall.reviews WHERE code = %s", (code,)),
            ("UPDATE mall.reviews SET code = %s WHERE code = %s", (rng.choice(CODES), code)),
            ("UPDATE mall.products SET id = %s WHERE id = %s", (rng.randrange(40), id_)),
            ("DELETE FROM mall.reviews WHERE stars = 3", ()),
        ]
        for statement, values in rng.choices(acts, (30, 40, 3, 5, 5, 2, 0.3), k=rng.choice([1, 1, 3])):
            sql.execute(statement.encode(), values)
        if rng.random() < 0.1:
            raise psycopg.Rollback


PUT_PRODUCT = """INSERT INTO mall.products VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, price = EXCLUDED.price"""
PUT_REVIEW = """INSERT INTO mall.reviews VALUES (%s, %s, %s)
ON CONFLICT (code) DO UPDATE SET product_id = EXCLUDED.product_id, stars = EXCLUDED.stars"""
