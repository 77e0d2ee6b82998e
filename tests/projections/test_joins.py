"""Views of several shapes, without one [[follow]], under random writes to all their tables."""

from random import Random

import pytest
from elasticsearch import Elasticsearch

from processes import eventually
from projections.store import Store
from shop import held

NOT_DONE = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
SCHEMA = """
ALTER TABLE store.products ADD tags int[], ADD above bigint;
CREATE TABLE store.more_reviews (shop int) INHERITS (store.reviews);
"""
P = "FROM store.products p"
VIEWS = {
    "a UNION": f"SELECT p.id, p.title {P} WHERE p.above IS NULL UNION ALL SELECT p.id, b.title {P}"
    " JOIN store.products b ON b.id = p.above",
    "a WITH": "WITH s AS (SELECT r.product_id, sum(r.stars) AS n FROM store.reviews r GROUP BY 1)"
    f" SELECT p.id, s.n {P} JOIN s ON s.product_id = p.id",
    "= ANY": "SELECT p.id, (SELECT array_agg(c.name ORDER BY c.id) FROM store.categories c"
    f" WHERE c.id = ANY (p.tags)) AS tags {P}",
    "unnest": "SELECT p.id, (SELECT array_agg(c.name ORDER BY n) FROM unnest(p.tags) WITH ORDINALITY u(x, n)"
    f" JOIN store.categories c ON c.id = u.x) AS tags {P}",
    "inheritance": f"SELECT p.id, (SELECT sum(stars) FROM store.reviews WHERE product_id = p.id) AS n {P}",
    "nested json_agg": "SELECT p.id, (SELECT json_agg(json_build_object('b', b.title, 'c', c.name, 'r',"
    " (SELECT json_agg(r.stars ORDER BY r.id) FROM store.reviews r WHERE r.product_id = b.id)) ORDER BY b.id)"
    " FROM store.products b LEFT JOIN store.categories c ON c.id = b.category_id WHERE b.above = p.id) AS x"
    f" {P}",
    "JSON_ARRAY": "SELECT p.id, JSON_ARRAY(p.title, c.name NULL ON NULL) AS names, (SELECT"
    " JSON_ARRAYAGG(JSON_ARRAY(r.id, r.stars) ORDER BY r.id RETURNING jsonb) FROM store.reviews r"
    f" WHERE r.product_id = p.id) AS reviews {P} LEFT JOIN store.categories c ON c.id = p.category_id",
}
WRITES = (
    """INSERT INTO store.products (id, tenant, title, category_id, tags, above, "Odd ""%Name")
    SELECT {a}, 't', 'n{b}', (SELECT min(id) FROM store.categories), ARRAY[{b}, {c}], {c}, {a}
    ON CONFLICT DO NOTHING""",
    "INSERT INTO store.categories VALUES ({a}, 'k{b}') ON CONFLICT (id) DO UPDATE SET name = 'l{c}'",
    "INSERT INTO store.reviews SELECT {a}, id, {c} FROM store.products WHERE id = {b} ON CONFLICT DO NOTHING",
    "INSERT INTO store.more_reviews VALUES ({a}, {b}, {c})",
    "UPDATE store.products SET title = 'm{b}', tags = ARRAY[{a}, {c}] WHERE id = {a}",
    "UPDATE store.products SET above = nullif({c}, 1), category_id = NULL WHERE id = {a}",
    "UPDATE store.categories SET name = 'm{b}' WHERE id = {a}",
    "UPDATE store.reviews SET stars = {c} WHERE id % 3 = {a} % 3",
    "UPDATE store.more_reviews SET product_id = {b} WHERE id % 3 = {a} % 3",
    "DELETE FROM store.products WHERE id = {a}",
    "DELETE FROM store.reviews WHERE id % 7 = {a}",
)


@pytest.mark.slow(reason="seven projections, and random writes to all their tables")
@pytest.mark.parametrize("shape", VIEWS)
def test_documents_follow_all_that_their_view_reads(store: Store, engine: Elasticsearch, shape: str) -> None:
    if shape == "JSON_ARRAY" and store.sql.info.server_version < 160000:
        pytest.skip("PostgreSQL 16 brought it")
    random = Random(30)
    store.sql.execute(SCHEMA)
    store.query(VIEWS[shape])
    for number in range(4):
        for _ in range(60):
            a, b, c = (random.randint(1, 9) for _ in range(3))
            store.sql.execute(random.choice(WRITES).format(a=a, b=b, c=c).encode())
        if not number:
            store.apply()
        eventually(
            lambda: (
                store.cli("worker", "--drain").returncode == 0
                and store.sql.execute(NOT_DONE).fetchone() == (0,)
            )
        )
        there = store.sql.execute(f"SELECT id::text, to_json(v) FROM ({VIEWS[shape]}) v".encode()).fetchall()
        assert held(engine, store.index) == dict(there)
