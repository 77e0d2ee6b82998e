"""Partitions come and go between writes of all kinds: a document that differs afterwards has an event."""

import random
from dataclasses import replace

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections import trigger_functions
from outboxctl.domain.projection import Follow, Projection
from projections import shop_tables as shop
from projections.shop_tables import faults, taken, watch

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.owners (id int PRIMARY KEY);
CREATE TABLE shop.labels (id text PRIMARY KEY, name text, unused int);
CREATE TABLE shop.items (id int, part int, name text, unused text, PRIMARY KEY (part, id))
    PARTITION BY LIST (part);
CREATE TABLE shop.lines (item int, part int, n int, owner int REFERENCES shop.owners ON DELETE CASCADE,
    unused text) PARTITION BY LIST (part);
CREATE VIEW shop.documents AS SELECT i.id, i.part, i.name,
    (SELECT json_agg(json_build_array(l.part, l.n) ORDER BY l.part, l.n) FROM shop.lines l
        WHERE l.item = i.id) AS lines
FROM shop.items i;
INSERT INTO shop.owners SELECT generate_series(0, 9);
"""
# Of each table: two that are there at `apply`, of other columns' order; one with partitions of its own.
PARTS = """
CREATE TABLE shop.{0}_0 PARTITION OF shop.{0} FOR VALUES IN (0);
CREATE TABLE shop.{0}_1 (gone int, unused text, {1});
ALTER TABLE shop.{0}_1 DROP gone;
ALTER TABLE shop.{0} ATTACH PARTITION shop.{0}_1 FOR VALUES IN (1);
CREATE TABLE shop.{0}_23 PARTITION OF shop.{0} FOR VALUES IN (2, 3) PARTITION BY LIST (part);
CREATE TABLE shop.{0}_2 PARTITION OF shop.{0}_23 FOR VALUES IN (2);
"""
COLUMNS = {
    "items": "name text, part int NOT NULL, id int NOT NULL",
    "lines": "owner int, n int, part int, item int",
}
# {t}: where it writes, which holds {p} and {q}, and `*` all partitions; {i}, {n}: small numbers.
ITEMS = (
    "INSERT INTO shop.items{t} (id, part, name) SELECT {i}, {p}, 'n{n}'"
    " WHERE NOT EXISTS (SELECT FROM shop.items WHERE id = {i} AND part <> {p})"
    " ON CONFLICT (part, id) DO UPDATE SET name = 'm{n}'",
    "UPDATE shop.items{t} SET name = 'n{n}' WHERE id % 3 = {n} % 3",
    "UPDATE shop.items{t} SET unused = 'n{n}'",
    "UPDATE shop.items{t} SET part = {q} WHERE id = {i} AND part = {p}"
    " AND NOT EXISTS (SELECT FROM shop.items WHERE id = {i} AND part = {q})",
    "DELETE FROM shop.items{t} WHERE id = {i}",
)
LINES = (
    "INSERT INTO shop.lines{t} (item, part, n, owner)"
    " SELECT {i}, {p}, g, (SELECT id FROM shop.owners WHERE id = {n}) FROM generate_series(1, {n}) g",
    "UPDATE shop.lines{t} SET n = n + 1, unused = 'x' WHERE item = {i}",
    "UPDATE shop.lines{t} SET part = {q}, item = CASE {n} WHEN 1 THEN {i} ELSE item END WHERE part = {p}",
    "UPDATE shop.lines{t} SET item = {i} WHERE n = {n}",
    "UPDATE shop.lines{t} SET unused = 'y'",
    "DELETE FROM shop.lines{t} WHERE n > {n}",
    "TRUNCATE shop.lines{t}",
)
PLACES = {"": (0, 1, 2, 3, 4), "_0": (0,), "_1": (1,), "_23": (2, 3), "_2": (2,), "_3": (3,), "_4": (4,)}
NEW = ("_3", "_4")
OTHERS = (
    "DELETE FROM shop.owners WHERE id = {n}",
    "INSERT INTO shop.owners VALUES ({n}) ON CONFLICT DO NOTHING",
    "INSERT INTO shop.labels SELECT 'ä%:' || g, 'n{n}' FROM generate_series(0, {n}) g"
    " ON CONFLICT (id) DO UPDATE SET name = 'm{n}', unused = {n}",
    "WITH a AS (DELETE FROM shop.labels WHERE id ~ '{n}'), b AS (UPDATE shop.lines SET n = n + 1)"
    " UPDATE shop.labels SET id = id || clock_timestamp(), unused = {n} WHERE id < 'ä%:{n}'",
)
# What happens to partitions; while one is away its rows are in no document, so it is emptied before.
CHANGES = (
    "CREATE TABLE IF NOT EXISTS shop.{0}_3 PARTITION OF shop.{0}_23 FOR VALUES IN (3)",
    "CREATE TABLE IF NOT EXISTS shop.{0}_4 PARTITION OF shop.{0} FOR VALUES IN (4)",
    "DELETE FROM shop.{0}_1; ALTER TABLE shop.{0} DETACH PARTITION shop.{0}_1;"
    " ALTER TABLE shop.{0} ATTACH PARTITION shop.{0}_1 FOR VALUES IN (1)",
    "DELETE FROM shop.{0}_23; ALTER TABLE shop.{0} DETACH PARTITION shop.{0}_23;"
    " ALTER TABLE shop.{0} ATTACH PARTITION shop.{0}_23 FOR VALUES IN (2, 3)",
    "ALTER TABLE shop.{0}_0 ENABLE TRIGGER ALL",
    "apply",
)
DOCUMENTS = """SELECT id::text, row_to_json(d)::text FROM shop.documents d
UNION ALL SELECT id, name FROM shop.labels"""


def declared(*, whole: bool) -> Projection:
    """Items by id, with their lines."""
    lines = Follow(shop.shop("lines"), key=("item",), columns=() if whole else ("n", "part"))
    return shop.of(
        "items", "id", "pg_catalog.int4", columns=() if whole else ("name", "part"), follow=(lines,)
    )


def a_change(rng: random.Random, there: set[str]) -> str:
    """A statement on a table or on a partition that is there."""
    table, statements = rng.choice([("items", ITEMS), ("lines", LINES)])
    if rng.random() < 0.15:
        return rng.choice(OTHERS).format(n=rng.randrange(10))
    place = rng.choice([each for each in PLACES if not each or f"{table}{each}" in there])
    parts = [n for n in PLACES[place] if f"{table}_{n}" in there]
    p, q = rng.choice(parts), rng.choice(parts)
    if (
        place in NEW
    ):  # of such a one TRUNCATE is not seen before the next `apply`, as docs/projections.md says
        statements = tuple(each for each in statements if "TRUNCATE" not in each)
    return rng.choice(statements).format(t=place, p=p, q=q, i=rng.randrange(8), n=rng.randrange(1, 5))


@pytest.mark.slow(reason="300 random transactions a seed")
@pytest.mark.parametrize(("seed", "bulk"), [(0, trigger_functions.BULK), (1, 2), (2, trigger_functions.BULK)])
def test_no_change_is_missed_whichever_partition_is_named(
    db: Database, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, seed: int, bulk: int
) -> None:
    """By a projection that is watched by the columns that it uses, and by one that is by every column."""
    monkeypatch.setattr(trigger_functions, "BULK", bulk)
    sql.execute(TABLES.encode())
    for table, columns in COLUMNS.items():
        sql.execute(PARTS.format(table, columns).encode())
    projection, rng, changed = declared(whole=False), random.Random(seed), 0
    every = replace(declared(whole=True), name="every")
    watch(db, projection)
    watch(db, every, projection)
    watch(db, shop.of("labels", kind=shop.TEXT, columns=("name",)))
    before: dict[str, str] = {}
    for number in range(300):
        if number % 15 == 14:
            change = rng.choice(CHANGES).format(rng.choice([*COLUMNS]))
            watch(db, projection, every) if change == "apply" else sql.execute(change.encode())
        there = {name for (name,) in sql.execute("SELECT relname::text FROM pg_class WHERE relname ~ '_\\d'")}
        said = [a_change(rng, there) for _ in range(rng.randrange(1, 4))]
        with sql.transaction():
            for each in said:
                with sql.transaction(force_rollback=rng.random() < 0.15):
                    sql.execute(each.encode())
        after: dict[str, str] = dict(sql.execute(DOCUMENTS).fetchall())
        differ = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        events: dict[str, set[str | None]] = {"items": set(), "every": set(), "labels": set()}
        for name, key, follow in taken(sql):
            events[name].add(key if follow is None else None)
        labels = events.pop("labels")
        assert all(None in each or differ <= each | labels for each in events.values()), (number, said)
        changed += bool(differ)
        before = after
    assert changed > 60  # or nothing was tested
    watch(db, projection, every)
    assert faults(db, projection, every) == faults(db, every, projection) == []
