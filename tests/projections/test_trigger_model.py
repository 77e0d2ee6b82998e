"""Any statements, in any order: a document that differs afterwards has an event."""

import json
import random
from dataclasses import replace

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections import trigger_bulk
from projections.shop_tables import PRODUCT, taken, watch

# {p}: a product, {c}: a category, {n}: a small number.
STATEMENTS = (
    "INSERT INTO shop.products (id, name) VALUES ({p}, 'n{n}') ON CONFLICT (id) DO UPDATE SET name = 'm{n}'",
    "UPDATE shop.products SET name = 'n{n}' WHERE id % 3 = {n} % 3",
    "UPDATE shop.products SET id = {p} WHERE id = {q}"
    " AND NOT EXISTS (SELECT FROM shop.products WHERE id = {p})"
    " AND NOT EXISTS (SELECT FROM shop.offers WHERE product_id = {q})"
    " AND NOT EXISTS (SELECT FROM shop.product_categories WHERE product_id = {q})",
    "DELETE FROM shop.products WHERE id = {p}",
    "INSERT INTO shop.reviews (product_id, stars) SELECT id, {n} FROM shop.products WHERE id IN ({p}, {q})",
    "UPDATE shop.reviews SET product_id = (SELECT max(id) FROM shop.products), stars = {n}"
    " WHERE id % 5 = {n}",
    "UPDATE shop.reviews SET stars = CASE WHEN id % 2 = 0 THEN {n} ELSE stars END",
    "UPDATE shop.reviews SET body = NULL, seen = now()",
    "DELETE FROM shop.reviews WHERE stars = {n}",
    "INSERT INTO shop.offers SELECT id, {n} FROM shop.products WHERE id > {p}",
    "UPDATE shop.offers SET product_id = (SELECT min(id) FROM shop.products) WHERE price = {n}",
    "UPDATE shop.offers SET price = {n} - price",
    "DELETE FROM shop.offers WHERE price < 0",
    "INSERT INTO shop.categories VALUES ({c}, 'n{n}') ON CONFLICT (id) DO UPDATE SET name = 'm{n}'",
    "UPDATE shop.categories SET unused = name, name = CASE id WHEN {c} THEN 'n{n}' ELSE name END",
    "DELETE FROM shop.categories WHERE id = {c}",
    "INSERT INTO shop.product_categories SELECT p.id, c.id FROM shop.products p, shop.categories c"
    " WHERE p.id > {p} AND c.id = {c} ON CONFLICT DO NOTHING",
    "UPDATE shop.product_categories SET category_id = c.id FROM shop.categories c WHERE c.id = {c}"
    " AND product_id = {p} AND NOT EXISTS (SELECT FROM shop.product_categories WHERE product_id = {p}"
    " AND category_id = {c}) AND category_id = (SELECT min(category_id) FROM shop.product_categories"
    " WHERE product_id = {p})",
    "DELETE FROM shop.product_categories WHERE product_id = {p}",
    "TRUNCATE shop.reviews",
    "TRUNCATE shop.categories CASCADE",
    "WITH a AS (DELETE FROM shop.reviews WHERE product_id = {p}),"
    " b AS (UPDATE shop.products SET name = 'w{n}' WHERE id = {q})"
    " UPDATE shop.categories SET name = 'w{n}' WHERE id = {c}",
)
NAMES = ("product", "every")
DOCUMENTS = "SELECT id::text, row_to_json(d)::text FROM shop.product_documents d"
LINKED = "SELECT product_id::text FROM shop.product_categories WHERE category_id = %s"


def shown(sql: psycopg.Connection) -> dict[str, str]:
    """The documents by their keys."""
    return dict(sql.execute(DOCUMENTS).fetchall())


def reached(sql: psycopg.Connection, known: set[str]) -> dict[str, set[str]]:
    """The documents that each one's events reach; for a followed row those of now, as a worker finds them."""
    found: dict[str, set[str]] = {name: set() for name in NAMES}
    for name, key, follow in taken(sql):
        if follow is None:
            found[name].add(key)
        elif follow < 0:
            found[name] |= known
        else:
            found[name] |= {each for (each,) in sql.execute(LINKED, [json.loads(key)["id"]])}
    return found


def tried(sql: psycopg.Connection, rng: random.Random) -> str:
    """Run a transaction of a few statements, some of them rolled back; returns its text."""
    said = []
    with sql.transaction():
        for _ in range(rng.randrange(1, 4)):
            given = {
                "p": rng.randrange(3),
                "q": rng.randrange(3),
                "c": rng.randrange(3),
                "n": rng.randrange(5),
            }
            said.append(rng.choice(STATEMENTS).format(**given))
            with sql.transaction(force_rollback=rng.random() < 0.2):
                sql.execute(said[-1].encode())
    return ";\n".join(said)


@pytest.mark.slow(reason="150 random transactions a seed")
@pytest.mark.parametrize("bulk", [2, trigger_bulk.BULK])
@pytest.mark.parametrize("seed", range(2))
def test_a_document_that_differs_has_an_event_of_each_projection(
    db: Database, bare: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, seed: int, bulk: int
) -> None:
    """One of the projections is watched by the columns that it uses, the other one by every column."""
    monkeypatch.setattr(trigger_bulk, "BULK", bulk)
    every = replace(PRODUCT, columns=(), follow=tuple(replace(each, columns=()) for each in PRODUCT.follow))
    watch(db, PRODUCT)
    watch(db, replace(every, name=NAMES[1]), PRODUCT)
    rng = random.Random(seed)
    before = shown(bare)
    changed = 0
    for _ in range(150):
        said = tried(bare, rng)
        after = shown(bare)
        differ = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        for found in reached(bare, before.keys() | after.keys()).values():
            assert differ <= found, said
        changed += bool(differ)
        before = after
    assert changed > 50  # or nothing was tested
