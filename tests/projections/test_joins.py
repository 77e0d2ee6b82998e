"""Views of many shapes, without one foreign key and without one [[follow]], under random writes."""

from random import Random
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli, eventually
from projections.store import WHO
from shop import held

NOT_DONE = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
SCHEMA = """
CREATE SCHEMA j;
CREATE TABLE j.customer (id int PRIMARY KEY, country text, name text, boss int, tags int[]);
CREATE TABLE j.invoice (id int, customer int, billing text, total int, PRIMARY KEY (id, billing))
    PARTITION BY LIST (billing);
CREATE TABLE j.invoice_a PARTITION OF j.invoice FOR VALUES IN ('a');
CREATE TABLE j.invoice_rest PARTITION OF j.invoice DEFAULT;
CREATE TABLE j.line (id int PRIMARY KEY, invoice int, product int, qty int);
CREATE TABLE j.product (id int PRIMARY KEY, name text, category int);
CREATE TABLE j.category (id int PRIMARY KEY, name text, above int);
CREATE TABLE j.post (id int PRIMARY KEY, author int, reviewer int, stars int);
CREATE TABLE j.special_post (price int) INHERITS (j.post);
CREATE VIEW j.named AS SELECT p.id AS product, p.name, c.name AS category, up.name AS above
FROM j.product p LEFT JOIN j.category c ON c.id = p.category LEFT JOIN j.category up ON up.id = c.above;
"""
C = "FROM j.customer c"
VIEWS = {
    "counted": f"SELECT c.id, (SELECT count(*) FROM j.invoice i WHERE i.billing = c.country) AS n {C}",
    "reviewed": f"SELECT c.id, (SELECT sum(p.stars) FROM j.post p WHERE p.reviewer = c.id) AS stars {C}",
    "grouped": f"SELECT c.id, sum(i.total) AS n {C} LEFT JOIN j.invoice i ON i.customer = c.id GROUP BY c.id",
    "bossed": f"SELECT c.id, b.name AS boss, b.country {C} LEFT JOIN j.customer b ON b.id = c.boss",
    "alike": f"SELECT c.id, (SELECT count(*) FROM j.customer o WHERE o.country = c.country) AS n {C}",
    "tagged": f"SELECT c.id, (SELECT array_agg(t.name ORDER BY t.id) FROM j.category t"
    f" WHERE t.id = ANY (c.tags)) AS tags {C}",
    "unnested": f"SELECT c.id, (SELECT array_agg(t.name ORDER BY n) FROM unnest(c.tags) WITH"
    f" ORDINALITY u(x, n)"
    f" JOIN j.category t ON t.id = u.x) AS tags {C}",
    "newest": f"SELECT c.id, z.total {C} LEFT JOIN (SELECT i.customer, i.total, row_number() OVER"
    f" (PARTITION BY i.customer ORDER BY i.id DESC, i.billing) AS n FROM j.invoice i) z"
    f" ON z.customer = c.id AND z.n = 1",
    "deep": f"SELECT c.id, x.* {C} CROSS JOIN LATERAL (SELECT json_agg(json_build_object('q',"
    f" l.qty, 'p', v.name,"
    f" 'c', v.category, 'a', v.above) ORDER BY l.id) AS lines FROM j.invoice i JOIN j.line l ON"
    f" l.invoice = i.id"
    f" LEFT JOIN j.named v ON v.product = l.product WHERE i.customer = c.id AND i.billing <> 'c') x",
    "summed": f"WITH s AS (SELECT i.customer, sum(l.qty) AS q FROM j.invoice i JOIN j.line l ON"
    f" l.invoice = i.id"
    f" GROUP BY i.customer) SELECT c.id, s.q {C} JOIN s ON s.customer = c.id",
    "existing": f"SELECT c.id, c.name {C} WHERE EXISTS (SELECT FROM j.post p WHERE p.author = c.id)"
    f" AND c.id IN (SELECT i.customer FROM j.invoice i) AND NOT EXISTS (SELECT FROM j.line l"
    f" WHERE l.qty = c.id)",
    "united": f"SELECT c.id, c.name {C} WHERE c.boss IS NULL UNION ALL SELECT c.id, b.name {C}"
    f" JOIN j.customer b ON b.id = c.boss",
    "through": f"SELECT c.id, (SELECT max(c.name || p.name) FROM j.post q JOIN j.product p ON p.id = q.stars"
    f" WHERE c.boss IN (q.author, q.reviewer) AND q.author = c.id) AS m {C}",
    # These depend on other rows of the root, or on tables as a whole.
    "ranked": f"SELECT c.id, rank() OVER (ORDER BY c.name) AS n {C}",
    "chosen": f"SELECT DISTINCT ON (c.country) c.id, c.name {C} ORDER BY c.country, c.name, c.id",
    "first": f"SELECT c.id, c.name {C} ORDER BY c.name, c.id LIMIT 3",
    "greatest": f"SELECT c.id, (SELECT max(total) FROM j.invoice) AS m {C}",
}
ALL = {"ranked": "customer", "chosen": "customer", "first": "customer", "greatest": "invoice"}
WRITES = (
    "INSERT INTO j.customer VALUES ({a}, '{l}', 'n{b}', {c}, ARRAY[{b}, {c}]) ON CONFLICT DO NOTHING",
    "INSERT INTO j.invoice VALUES ({b}, {a}, '{l}', {c}) ON CONFLICT DO NOTHING",
    "INSERT INTO j.line VALUES ({a}, {b}, {c}, {d}) ON CONFLICT DO NOTHING",
    "INSERT INTO j.product VALUES ({a}, 'p{b}', {c}) ON CONFLICT DO NOTHING",
    "INSERT INTO j.category VALUES ({a}, 'k{b}', {c}) ON CONFLICT DO NOTHING",
    "INSERT INTO j.post VALUES ({a} + {b}, {b}, {c}, {d}) ON CONFLICT DO NOTHING",
    "INSERT INTO j.special_post VALUES ({a} + 20, {b}, {c}, {d})",
    "UPDATE j.customer SET name = 'm{b}', country = '{l}' WHERE id = {a}",
    "UPDATE j.customer SET boss = nullif({c}, 1), tags = ARRAY[{a}, {d}] WHERE id = {a}",
    "UPDATE j.customer SET id = {b} WHERE id = {a} AND NOT EXISTS (SELECT FROM j.customer WHERE id = {b})",
    "UPDATE j.invoice SET customer = {b}, total = {c} WHERE id = {a}",
    "UPDATE j.line SET invoice = {b}, qty = {d} WHERE id = {a}",
    "UPDATE j.product SET name = 'q{b}', category = {c} WHERE id = {a}",
    "UPDATE j.category SET name = 'l{b}', above = {c} WHERE id = {a}",
    "UPDATE j.post SET author = {b}, stars = {c} WHERE id % 5 = {a} % 5",
    "UPDATE j.special_post SET reviewer = {b} WHERE id % 5 = {a} % 5",
    "DELETE FROM j.customer WHERE id = {a}",
    "DELETE FROM j.invoice_rest WHERE id = {a}",
    "DELETE FROM j.category WHERE id = {a}",
    "DELETE FROM j.post WHERE id % 7 = {a}",
)


def write(sql: psycopg.Connection, random: Random, count: int) -> None:
    """Random changes of all tables."""
    for _ in range(count):
        a, b, c, d = (random.randint(1, 9) for _ in range(4))
        statement = random.choice(WRITES).format(a=a, b=b, c=c, d=d, l=random.choice("abc"))
        sql.execute(statement.encode())


def rows(sql: psycopg.Connection, select: str) -> dict[str, Any]:
    """The documents that there should be."""
    found = sql.execute(f"SELECT id::text, to_json(v) FROM ({select}) v".encode()).fetchall()
    return dict(found)


@pytest.mark.slow(reason="seventeen projections, and random writes to all their tables")
def test_documents_of_views_of_many_shapes_follow_all_that_they_read(
    sql: psycopg.Connection, cli: Cli, engine: Elasticsearch, tmp_path: Any
) -> None:
    sql.execute(SCHEMA.encode())
    prefix, random = f"{cli.env['ELASTIC_INDEX']}-joins", Random(30)
    file = tmp_path / "joins.toml"
    parts = [
        f'[projections.{name}]\nroot = "j.customer"\nkey = "id"\nindex = "{prefix}-{name}"\n'
        f"query = '''{select}'''\n"
        + (f'[[projections.{name}.follow]]\ntable = "j.{ALL[name]}"\nall = true\n' if name in ALL else "")
        for name, select in VIEWS.items()
    ]
    file.write_text("\n".join(parts), encoding="utf-8")
    write(sql, random, 100)
    try:
        cli.ok("projection", "apply", str(file), *WHO, "--yes")
        for _ in range(3):
            eventually(
                lambda: cli("worker", "--drain").returncode == 0 and sql.execute(NOT_DONE).fetchone() == (0,)
            )
            for name, select in VIEWS.items():
                assert held(engine, f"{prefix}-{name}") == rows(sql, select), name
            write(sql, random, 60)
    finally:
        engine.indices.delete(index=[f"{prefix}-{name}-000001" for name in VIEWS], ignore_unavailable=True)
